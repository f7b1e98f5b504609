local revoked = obj.spec.revoked == true

return {
  ["revoke"] = { disabled = revoked },
  ["restore"] = { disabled = not revoked },
}

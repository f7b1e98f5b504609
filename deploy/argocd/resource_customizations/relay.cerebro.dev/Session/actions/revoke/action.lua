-- Ends access and keeps the record.
obj.spec.revoked = true

return obj

-- Gives access again, with the original end.
obj.spec.revoked = false

return obj

-- Lets an object that is being deleted go without its clean-up.
local annotations = obj.metadata.annotations or {}
annotations["relay.cerebro.dev/force-finalize"] = "true"
obj.metadata.annotations = annotations

return obj

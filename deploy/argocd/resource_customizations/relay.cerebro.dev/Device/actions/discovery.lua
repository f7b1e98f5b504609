local annotations = obj.metadata.annotations or {}
local held_back = false
for _, condition in ipairs((obj.status or {}).conditions or {}) do
  if condition.type == "Ready" and condition.reason == "MassRemoval" then
    held_back = true
  end
end

-- Only our finalizers give way to the annotation.
local waits = false
for _, finalizer in ipairs(obj.metadata.finalizers or {}) do
  if finalizer == "relay.cerebro.dev/cleanup" then
    waits = true
  end
end

return {
  ["resync"] = {},
  ["confirm-removal"] = {
    disabled = not held_back,
    params = { { name = "number" } },
  },
  ["forget-confirmation"] = {
    disabled = annotations["relay.cerebro.dev/confirm-removal"] == nil,
  },
  ["force-deletion"] = {
    disabled = obj.metadata.deletionTimestamp == nil or not waits,
  },
}

-- Only our finalizers give way to the annotation.
local waits = false
for _, finalizer in ipairs(obj.metadata.finalizers or {}) do
  if finalizer == "relay.cerebro.dev/interface" then
    waits = true
  end
end

return {
  ["force-deletion"] = {
    disabled = obj.metadata.deletionTimestamp == nil or not waits,
  },
}

-- A DeviceCommand is healthy once it was run and the router took all of it.
-- It never changes, so its phase says all. docs/argocd.md has each reason.

local status = obj.status or {}
local ready = nil
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" then
    ready = condition
  end
end

if ready == nil then
  return { status = "Progressing", message = "it waits to be run" }
end

local message = ready.reason .. ": " .. ready.message
if status.phase == "Succeeded" then
  return { status = "Healthy", message = message }
end

local over = status.phase == "Failed" or status.phase == "Denied"
if over or ready.reason == "InvalidObject" then
  return { status = "Degraded", message = message }
end

return { status = "Progressing", message = message }

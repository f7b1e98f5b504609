-- The same script for each of our kinds: an object says itself what it waits
-- for, by the conditions of kstatus. docs/waiting.md has the verdict of each reason.

local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local observed = status.observedGeneration or 0
if observed < 1 or conditions.Ready == nil then
  return { status = "Progressing", message = "nobody has looked at it yet" }
end

if observed ~= obj.metadata.generation then
  return { status = "Progressing", message = "its last change is not looked at yet" }
end

local function verdict(health, condition)
  return { status = health, message = condition.reason .. ": " .. condition.message }
end

-- Only a person can mend it.
if conditions.Stalled ~= nil and conditions.Stalled.status == "True" then
  return verdict("Degraded", conditions.Stalled)
end

-- It ends by itself: the agent or the operator goes on trying.
if conditions.Reconciling ~= nil and conditions.Reconciling.status == "True" then
  return verdict("Progressing", conditions.Reconciling)
end

if conditions.Ready.status == "True" then
  return verdict("Healthy", conditions.Ready)
end

-- A person asked for that. Of a Session that ended, Enforced has the reason.
local cause = conditions.Ready
if (cause.reason == "Expired" or cause.reason == "Revoked") and conditions.Enforced ~= nil then
  cause = conditions.Enforced
end

return verdict("Suspended", cause)

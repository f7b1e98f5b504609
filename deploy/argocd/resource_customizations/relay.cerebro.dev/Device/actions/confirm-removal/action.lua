-- Lets as many go as a person says: the number in the message of MassRemoval.
local number = tonumber(actionParams["number"])
if number == nil or number < 1 or number > 99999999 or number % 1 ~= 0 then
  error("number: write how many may go, as the message of MassRemoval says", 0)
end

local annotations = obj.metadata.annotations or {}
annotations["relay.cerebro.dev/confirm-removal"] = tostring(number)
obj.metadata.annotations = annotations

return obj

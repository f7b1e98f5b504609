-- Takes the confirmed number away: left there, it confirms later removals too.
local annotations = obj.metadata.annotations or {}
annotations["relay.cerebro.dev/confirm-removal"] = nil
obj.metadata.annotations = annotations

return obj

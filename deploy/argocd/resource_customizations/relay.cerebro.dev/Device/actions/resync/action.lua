-- Has everything compared at once.
local os = require("os")

local annotations = obj.metadata.annotations or {}
annotations["relay.cerebro.dev/resync-at"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
obj.metadata.annotations = annotations

return obj

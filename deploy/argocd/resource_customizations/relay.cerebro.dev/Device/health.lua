-- A Device is healthy while its router is served. A warning has its words in
-- the message and changes no verdict.
-- docs/argocd.md has the verdict of each reason.

-- What ends by itself: the agent or the operator goes on trying.
local passing = {
  AgentLost = true,
  Applying = true,
  ConnectTimeout = true,
  ConnectionLost = true,
  ConnectionRefused = true,
  Deleted = true,
  Down = true,
  HandshakeTooOld = true,
  HubNotCarried = true,
  HubNotFound = true,
  NameNotResolved = true,
  NeverConnected = true,
  NoAnswer = true,
  NoPeer = true,
  NoRoute = true,
  NoTunnelAddress = true,
  NotCarried = true,
  NotLookedYet = true,
  SecretNotRead = true,
  TunnelInterfaceGone = true,
}

-- What a person asked for.
local held = { DryRun = true, Paused = true }

local ready = nil
for _, condition in ipairs((obj.status or {}).conditions or {}) do
  if condition.type == "Ready" then
    ready = condition
  end
end

if ready == nil then
  return { status = "Progressing", message = "nobody has looked at it yet" }
end

if ready.observedGeneration ~= nil
  and ready.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "its last change is not looked at yet" }
end

local message = ready.reason .. ": " .. ready.message
if held[ready.reason] then
  return { status = "Suspended", message = message }
end

if ready.status == "True" then
  return { status = "Healthy", message = message }
end

if passing[ready.reason] then
  return { status = "Progressing", message = message }
end

-- Only a person can mend it.
return { status = "Degraded", message = message }

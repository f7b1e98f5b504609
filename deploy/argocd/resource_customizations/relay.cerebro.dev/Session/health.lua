-- A Session is healthy while its client is let in, and once its end is enforced.
-- docs/argocd.md has the verdict of each reason.

-- What ends by itself: the agent or the operator goes on trying.
local passing = {
  Applying = true,
  ConnectTimeout = true,
  ConnectionLost = true,
  ConnectionRefused = true,
  ConnectionsNotRead = true,
  CookiesNotRead = true,
  Deleted = true,
  DeviceNotFound = true,
  Down = true,
  Ending = true,
  Granting = true,
  HandshakeTooOld = true,
  HostsNotRead = true,
  HubNotCarried = true,
  HubNotFound = true,
  LoginsNotRead = true,
  NameNotResolved = true,
  NeverConnected = true,
  NoAnswer = true,
  NoPeer = true,
  NoRoute = true,
  NoTunnelAddress = true,
  NotCarried = true,
  NotLookedYet = true,
  Reopened = true,
  SecretNotRead = true,
  TunnelInterfaceGone = true,
  UsersNotRead = true,
}

-- What a person asked for.
local held = { DryRun = true, Paused = true }

local status = obj.status or {}
local ready, enforced = nil, nil
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" then
    ready = condition
  elseif condition.type == "Enforced" then
    enforced = condition
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
if status.phase == "Failed" then
  return { status = "Degraded", message = message }
end

local ended = status.phase == "Expired" or status.phase == "Revoked"
if ended and status.finished then
  return { status = "Healthy", message = message }
end

if ready.status == "True" then
  return { status = "Healthy", message = message }
end

-- Until the end is on the router, Ready says how it ended, and Enforced what
-- it waits for.
local cause = ready
if ended and enforced ~= nil then
  cause = enforced
  message = enforced.reason .. ": " .. enforced.message
end

if held[cause.reason] then
  return { status = "Suspended", message = message }
end

if passing[cause.reason] then
  return { status = "Progressing", message = message }
end

-- Only a person can mend it.
return { status = "Degraded", message = message }

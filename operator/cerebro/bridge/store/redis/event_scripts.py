"""What must happen in a single step on the Redis with events of the backend and
their ACKs, in Lua: see `scripts`.

`events` has when each event was seen last. Of an open event, `open` has when
it was taken, `awaits` what it waits for, and `told` that an ACK said that it is
pending. Of an ACK, `acks` has when it is due, `acks_made` its age, `ack` event
and body, `ack_tries` how often it was sent in vain, and `ack_of` the number of
an event's ACK.
"""

from __future__ import annotations

from cerebro.bridge.store.redis.scripts import INBOX, NAMES, ROWS, Script

_ACKS = """
local function forget_ack(number)
  local ack = call('HGET', p .. 'ack', number)
  if not ack then return end
  local event_id = cjson.decode(ack)[1]
  if call('HGET', p .. 'ack_of', event_id) == number then call('HDEL', p .. 'ack_of', event_id) end
  call('HDEL', p .. 'ack', number)
  call('HDEL', p .. 'ack_tries', number)
  call('ZREM', p .. 'acks', number)
  call('ZREM', p .. 'acks_made', number)
end

-- It gets a number of its own: what becomes of an earlier one, which may be on its way, does not concern it.
local function put_ack(event_id, ack, now)
  local earlier = call('HGET', p .. 'ack_of', event_id)
  if earlier then forget_ack(earlier) end
  local number = next_number()
  call('HSET', p .. 'ack_of', event_id, number)
  call('HSET', p .. 'ack', number, ack)
  call('ZADD', p .. 'acks', now, number)
  call('ZADD', p .. 'acks_made', now, number)
end
"""

_EVENTS = """
local function close(event_id)
  call('HDEL', p .. 'awaits', event_id)
  call('HDEL', p .. 'told', event_id)
  return call('ZREM', p .. 'open', event_id) == 1
end

local function forget_event(event_id)
  close(event_id)
  call('ZREM', p .. 'events', event_id)
end
"""

TAKE_EVENTS = Script(
    NAMES
    + ROWS
    + INBOX
    + _ACKS
    + _EVENTS
    + """
-- ARGV: now, an hour ago, until when orders of payments wait, owner, bounds of inbox, of waiting orders and of
-- events, how many events are forgotten then; then of each event: its id, its entry, the sid of its payment, the
-- payment, until when it is kept, the order's field, entry and waiting value, and the ACK; empty where it has none.
-- Returns for each event its entry's number, '' for none; nothing if inbox or waiting orders are full.
local now, until_ms, owner = ARGV[1], ARGV[3], ARGV[4]
local FIRST, SIZE = 9, 9

local function is_located(sid) return call('EXISTS', p .. 'token:' .. sid) == 1 end

local entries, waits = 0, 0
for i = FIRST, #ARGV, SIZE do
  if not call('ZSCORE', p .. 'events', ARGV[i]) then
    if ARGV[i + 1] ~= '' then entries = entries + 1 end
    if ARGV[i + 2] ~= '' then
      if is_located(ARGV[i + 2]) then entries = entries + 1 else waits = waits + 1 end
    end
  end
end
if entries > 0 and is_full(entries, ARGV[5]) then return nil end
if waits > 0 and call('ZCARD', p .. 'waiting') + waits > tonumber(ARGV[6]) then return nil end

if call('ZCARD', p .. 'events') >= tonumber(ARGV[7]) then
  for _, event_id in ipairs(call('ZRANGE', p .. 'events', 0, ARGV[8] - 1)) do
    if not call('ZSCORE', p .. 'open', event_id) then forget_event(event_id) end
  end
end

local numbers = {}
for i = FIRST, #ARGV, SIZE do
  local event_id, entry, sid, ack, number = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 8], ''
  local seen_at = call('ZSCORE', p .. 'events', event_id)
  if seen_at then
    if tonumber(seen_at) <= tonumber(ARGV[2]) then call('ZADD', p .. 'events', now, event_id) end
  else
    call('ZADD', p .. 'events', now, event_id)
    if entry ~= '' then
      call('ZADD', p .. 'open', now, event_id)
      number = put(owner, entry)
    end
    if sid ~= '' then
      keep('payments', ARGV[i + 4], 'payment:' .. sid, 'order', ARGV[i + 3])
      if is_located(sid) then
        number = put(owner, ARGV[i + 6])
      else
        keep('waiting', until_ms, 'waiting:' .. sid, ARGV[i + 5], ARGV[i + 7])
      end
    end
    if ack ~= '' then put_ack(event_id, ack, now) end
  end
  numbers[#numbers + 1] = number
end
return numbers
"""
)

NOTE_AWAITS = Script(
    NAMES
    + """
-- ARGV: event, what it waits for.
if call('ZSCORE', p .. 'open', ARGV[1]) then call('HSET', p .. 'awaits', ARGV[1], ARGV[2]) end
"""
)

TELL_PENDING = Script(
    NAMES
    + _ACKS
    + """
-- ARGV: event, ACK or '', now.
if not call('ZSCORE', p .. 'open', ARGV[1]) then return end
if call('HSETNX', p .. 'told', ARGV[1], '1') == 1 and ARGV[2] ~= '' then put_ack(ARGV[1], ARGV[2], ARGV[3]) end
"""
)

CONCLUDE = Script(
    NAMES
    + _ACKS
    + _EVENTS
    + """
-- ARGV: event, ACK or '', now.
if close(ARGV[1]) and ARGV[2] ~= '' then put_ack(ARGV[1], ARGV[2], ARGV[3]) end
"""
)

ACK_TAKEN = Script(
    NAMES
    + _ACKS
    + """
-- ARGV: number of the ACK.
forget_ack(ARGV[1])
"""
)

ACK_FAILED = Script(
    NAMES
    + """
-- ARGV: number of the ACK, how often it was sent in vain, when it is due anew.
if call('HEXISTS', p .. 'ack', ARGV[1]) == 0 then return end
call('HSET', p .. 'ack_tries', ARGV[1], ARGV[2])
call('ZADD', p .. 'acks', ARGV[3], ARGV[1])
"""
)

FORGET_EVENTS = Script(
    NAMES
    + _EVENTS
    + """
-- ARGV: until, events at most, now. Returns how many were looked at. One without a final outcome counts as seen:
-- the backend is owed its ACK, however long the router is away.
local over = call('ZRANGEBYSCORE', p .. 'events', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, event_id in ipairs(over) do
  if call('ZSCORE', p .. 'open', event_id) then
    call('ZADD', p .. 'events', ARGV[3], event_id)
  else
    forget_event(event_id)
  end
end
return #over
"""
)

FORGET_ACKS = Script(
    NAMES
    + _ACKS
    + """
-- ARGV: until, ACKs at most. Returns how many were forgotten.
local over = call('ZRANGEBYSCORE', p .. 'acks_made', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, number in ipairs(over) do forget_ack(number) end
return #over
"""
)

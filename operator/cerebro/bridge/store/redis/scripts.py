"""What must happen in a single step on the Redis, in Lua: each script looks
before it writes. Whatever needs no look is a plain transaction and not here.

A *row* is a field of a hash whose name begins with its group, such as
`token:<token>`. An *index* is a sorted set with a member for each row of a
table: the length of the group in bytes, a colon, the group and the field. Its
score is the row's age or end, so that the number of rows, the oldest and those
that are over are known without a search. All times are milliseconds.

KEYS[1] is what all names begin with, ARGV are the arguments. NAMES, ROWS and
INBOX are what scripts begin with that need it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

LEASE_MS = 20_000
"""Milliseconds after its last sign of life from which others may take over
what a bridge has in the inbox.
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the name by which Redis remembers it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        """Name the script as Redis does."""
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False)
        object.__setattr__(self, "sha", digest.hexdigest())


NAMES = f"""
local p = KEYS[1]
local call = redis.call
local lease = {LEASE_MS}

local function server_ms()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A number is the time in microseconds, so that it grows also if Redis lost all that it had.
local function next_number()
  local time = call('TIME')
  local number = time[1] * 1000000 + time[2]
  local last = tonumber(call('GET', p .. 'last') or '0')
  if number <= last then number = last + 1 end
  local text = string.format('%.0f', number)
  call('SET', p .. 'last', text)
  return text
end
"""

ROWS = """
local function member_of(group, field)
  return #group .. ':' .. group .. field
end

local function forget(index, members)
  for _, member in ipairs(members) do
    local length, rest = string.match(member, '^(%d+):(.*)$')
    call('HDEL', p .. string.sub(rest, 1, length), string.sub(rest, length + 1))
    call('ZREM', p .. index, member)
  end
  return #members
end

local function keep(index, score, group, field, value)
  call('HSET', p .. group, field, value)
  call('ZADD', p .. index, score, member_of(group, field))
end
"""

INBOX = """
local function is_full(more, limit)
  return call('ZCARD', p .. 'inbox') + more > tonumber(limit)
end

local function put(owner, value)
  local text = next_number()
  call('ZADD', p .. 'inbox', text, text)
  call('HSET', p .. 'entries', text, value)
  call('ZADD', p .. 'owned:' .. owner, text, text)
  call('ZADD', p .. 'bridges', 'NX', server_ms() + lease, owner)
  return text
end
"""

MEET = Script(
    NAMES
    + """
-- ARGV: run of the server, now. A server that was started anew may have forgotten its latest: all bridges get
-- time to come back before somebody takes over what is theirs.
if call('HGET', p .. 'memory', 'run') ~= ARGV[1] then
  call('HSET', p .. 'memory', 'run', ARGV[1], 'since', ARGV[2])
  local until_ms = server_ms() + lease
  for _, owner in ipairs(call('ZRANGE', p .. 'bridges', 0, -1)) do
    call('ZADD', p .. 'bridges', until_ms, owner)
  end
end
return call('HGET', p .. 'memory', 'since')
"""
)

TELL = Script(
    NAMES
    + """
-- Returns what Redis tells of its persistence and its memory.
return call('INFO', 'persistence') .. call('INFO', 'memory')
"""
)

RENEW = Script(
    NAMES
    + """
-- ARGV: owner. Returns 1 if the lease had not run out.
local until_ms = call('ZSCORE', p .. 'bridges', ARGV[1])
local now = server_ms()
call('ZADD', p .. 'bridges', now + lease, ARGV[1])
if until_ms and tonumber(until_ms) > now then return 1 end
return 0
"""
)

TAKE_OVER = Script(
    NAMES
    + """
-- ARGV: owner, entries at most. Moves entries of bridges whose lease has run out; returns how many.
local moved, limit = 0, tonumber(ARGV[2])
for _, gone in ipairs(call('ZRANGEBYSCORE', p .. 'bridges', '-inf', server_ms())) do
  if gone ~= ARGV[1] and moved < limit then
    local theirs = call('ZRANGE', p .. 'owned:' .. gone, 0, limit - moved - 1)
    for _, seq in ipairs(theirs) do
      call('ZREM', p .. 'owned:' .. gone, seq)
      if call('HEXISTS', p .. 'entries', seq) == 1 then
        call('ZADD', p .. 'owned:' .. ARGV[1], seq, seq)
      end
    end
    moved = moved + #theirs
    if call('EXISTS', p .. 'owned:' .. gone) == 0 then call('ZREM', p .. 'bridges', gone) end
  end
end
return moved
"""
)

RECLAIM = Script(
    NAMES
    + """
-- ARGV: owner, 1 if what is missing is put back, then sequence number and value of each entry. Returns the
-- numbers of those that are the owner's.
local ours = {}
for i = 3, #ARGV, 2 do
  local seq, value = ARGV[i], ARGV[i + 1]
  if call('HEXISTS', p .. 'entries', seq) == 0 and ARGV[2] == '1' then
    call('HSET', p .. 'entries', seq, value)
    call('ZADD', p .. 'inbox', seq, seq)
    call('ZADD', p .. 'owned:' .. ARGV[1], seq, seq)
  end
  if call('ZSCORE', p .. 'owned:' .. ARGV[1], seq) then ours[#ours + 1] = seq end
end
return ours
"""
)

PUT = Script(
    NAMES
    + INBOX
    + """
-- ARGV: owner, entries at most, value. Returns its number, nothing if the inbox is full.
if is_full(1, ARGV[2]) then return nil end
return put(ARGV[1], ARGV[3])
"""
)

USE_NONCE = Script(
    NAMES
    + """
-- ARGV: nonce, now, until when it is remembered, until when others may be forgotten at the bound, the bound,
-- how many are forgotten then. Returns 1 if it was new, 0 if not, -1 if there is no room.
local nonces = p .. 'nonces'
local known_until = call('ZSCORE', nonces, ARGV[1])
if known_until and tonumber(known_until) > tonumber(ARGV[2]) then return 0 end
if not known_until and call('ZCARD', nonces) >= tonumber(ARGV[5]) then
  local over = call('ZRANGEBYSCORE', nonces, '-inf', ARGV[4], 'LIMIT', 0, ARGV[6])
  if #over == 0 then return -1 end
  call('ZREM', nonces, unpack(over))
end
call('ZADD', nonces, ARGV[3], ARGV[1])
return 1
"""
)

NOTE_HELLO = Script(
    NAMES
    + ROWS
    + INBOX
    + """
-- ARGV: token, router, asked for at, place, now, bound of places, how many are forgotten then, places of a token,
-- owner, bound of the inbox, entry. Returns the entry's number; '0' if there is nothing to do, '-1' if the inbox
-- is full.
local group = 'token:' .. ARGV[1]
local said_at = tonumber(ARGV[3])
local known = call('HGET', p .. group, ARGV[2])
if known and cjson.decode(known)[4] > said_at then return '0' end
local works = call('EXISTS', p .. 'waiting:' .. ARGV[1]) + call('EXISTS', p .. 'link:' .. ARGV[1]) > 0
if works and is_full(1, ARGV[10]) then return '-1' end

if not known then
  if call('ZCARD', p .. 'places') >= tonumber(ARGV[6]) then
    forget('places', call('ZRANGE', p .. 'places', 0, ARGV[7] - 1))
  end
  -- Of a token that was on many routers the earliest word goes.
  if call('HLEN', p .. group) >= tonumber(ARGV[8]) then
    local places, first, earliest = call('HGETALL', p .. group), nil, nil
    for i = 1, #places, 2 do
      local at = cjson.decode(places[i + 1])[4]
      if not earliest or at < earliest then first, earliest = places[i], at end
    end
    if earliest > said_at then return '0' end
    forget('places', {member_of(group, first)})
  end
end
keep('places', ARGV[5], group, ARGV[2], ARGV[4])
if works then return put(ARGV[9], ARGV[11]) end
return '0'
"""
)

NOTE_MOVE = Script(
    NAMES
    + ROWS
    + """
-- ARGV: token, moved at, moves at or before this count no more, moves at most. Returns 1 if the Sessions may move.
local group = 'moves:' .. ARGV[1]
if call('HEXISTS', p .. group, ARGV[2]) == 1 then return 1 end
local moves = 0
for _, at in ipairs(call('HKEYS', p .. group)) do
  if tonumber(at) > tonumber(ARGV[3]) then moves = moves + 1 end
end
if moves >= tonumber(ARGV[4]) then return 0 end
keep('moves', ARGV[2], group, ARGV[2], '1')
return 1
"""
)

WAIT = Script(
    NAMES
    + ROWS
    + """
-- ARGV: token, field, value, until, orders at most, then the places that the caller knows. Returns 1 if the order
-- is kept, 0 if the places are others by now, -1 if too many wait.
local known, count = {}, 0
for i = 6, #ARGV do known[ARGV[i]] = true end
for _, place in ipairs(call('HVALS', p .. 'token:' .. ARGV[1])) do
  if not known[place] then return 0 end
  count = count + 1
end
if count ~= #ARGV - 5 then return 0 end
local group = 'waiting:' .. ARGV[1]
local is_new = call('HEXISTS', p .. group, ARGV[2]) == 0
if is_new and call('ZCARD', p .. 'waiting') >= tonumber(ARGV[5]) then return -1 end
keep('waiting', ARGV[4], group, ARGV[2], ARGV[3])
return 1
"""
)

RELEASE = Script(
    NAMES
    + ROWS
    + INBOX
    + """
-- ARGV: owner, bound of the inbox, then token, field and entry of each order. Returns for each its number, '0' if
-- it waits no more; nothing if the inbox is full.
local numbers, count = {}, 0
for i = 3, #ARGV, 3 do
  count = count + call('HEXISTS', p .. 'waiting:' .. ARGV[i], ARGV[i + 1])
end
if is_full(count, ARGV[2]) then return nil end
for i = 3, #ARGV, 3 do
  local group = 'waiting:' .. ARGV[i]
  if call('HEXISTS', p .. group, ARGV[i + 1]) == 1 then
    forget('waiting', {member_of(group, ARGV[i + 1])})
    numbers[#numbers + 1] = put(ARGV[1], ARGV[i + 2])
  else
    numbers[#numbers + 1] = '0'
  end
end
return numbers
"""
)

KEEP_REVOKE = Script(
    NAMES
    + ROWS
    + """
-- ARGV: field, asked for at in microseconds, arrived at, number of the arrival, kept until, then the groups in
-- which it is looked for. Of equal revokes the latest time counts, and the latest arrival.
for i = 6, #ARGV do
  local asked, at, seq = ARGV[2], ARGV[3], ARGV[4]
  local known = call('HGET', p .. ARGV[i], ARGV[1])
  if known then
    local known_asked, known_at, known_seq = string.match(known, '^(%-?%d+) (%d+) (%d+)$')
    if tonumber(known_asked) > tonumber(asked) then asked = known_asked end
    local later = tonumber(known_at) > tonumber(at)
    local same = tonumber(known_at) == tonumber(at)
    if later or (same and tonumber(known_seq) > tonumber(seq)) then at, seq = known_at, known_seq end
  end
  keep('revokes', ARGV[5], ARGV[i], ARGV[1], asked .. ' ' .. at .. ' ' .. seq)
end
"""
)

FORGET = Script(
    NAMES
    + ROWS
    + """
-- ARGV: index, until, rows at most. Returns how many were forgotten.
return forget(ARGV[1], call('ZRANGEBYSCORE', p .. ARGV[1], '-inf', ARGV[2], 'LIMIT', 0, ARGV[3]))
"""
)

FORGET_NONCES = Script(
    NAMES
    + """
-- ARGV: until, nonces at most. Returns how many were forgotten.
local over = call('ZRANGEBYSCORE', p .. 'nonces', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
if #over > 0 then call('ZREM', p .. 'nonces', unpack(over)) end
return #over
"""
)

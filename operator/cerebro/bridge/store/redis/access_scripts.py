"""What must happen in a single step on the Redis with accesses and records, in
Lua: see `scripts`.

`access` has the state of each Session, `access_open` those whose client has
access, `access_ended` when the end of the others was noted. Of a record that
waits, `record` has the text, `records` its number and `records_made` its age.
"""

from __future__ import annotations

from cerebro.bridge.store.redis.scripts import NAMES, Script

_RECORDS = """
local function forget_record(number)
  call('HDEL', p .. 'record', number)
  call('ZREM', p .. 'records', number)
  call('ZREM', p .. 'records_made', number)
end
"""

KEEP_ACCESSES = Script(
    NAMES
    + """
-- ARGV: now, bound of the records, how many come; then of each change: UID, state before and after, whether the
-- client has access, how many records, and these. Returns 1 for each that was taken, else 0; nothing if there is
-- no room.
local now, more = ARGV[1], tonumber(ARGV[3])
if more > 0 and call('ZCARD', p .. 'records') + more > tonumber(ARGV[2]) then return nil end

local answers, i = {}, 4
while i <= #ARGV do
  local uid, count = ARGV[i], tonumber(ARGV[i + 4])
  local taken = (call('HGET', p .. 'access', uid) or '') == ARGV[i + 1]
  if taken then
    call('HSET', p .. 'access', uid, ARGV[i + 2])
    if ARGV[i + 3] == '1' then
      call('ZADD', p .. 'access_open', now, uid)
      call('ZREM', p .. 'access_ended', uid)
    else
      call('ZADD', p .. 'access_ended', now, uid)
      call('ZREM', p .. 'access_open', uid)
    end
    for n = 1, count do
      local number = next_number()
      call('HSET', p .. 'record', number, ARGV[i + 4 + n])
      call('ZADD', p .. 'records', number, number)
      call('ZADD', p .. 'records_made', now, number)
    end
  end
  answers[#answers + 1] = taken and 1 or 0
  i = i + 5 + count
end
return answers
"""
)

RECORDS_WRITTEN = Script(
    NAMES
    + _RECORDS
    + """
-- ARGV: numbers of records.
for _, number in ipairs(ARGV) do forget_record(number) end
"""
)

FORGET_RECORDS = Script(
    NAMES
    + _RECORDS
    + """
-- ARGV: until, records at most. Returns how many were forgotten.
local over = call('ZRANGEBYSCORE', p .. 'records_made', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, number in ipairs(over) do forget_record(number) end
return #over
"""
)

FORGET_ACCESSES = Script(
    NAMES
    + """
-- ARGV: until, accesses at most. Returns how many were forgotten.
local over = call('ZRANGEBYSCORE', p .. 'access_ended', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, uid in ipairs(over) do
  call('HDEL', p .. 'access', uid)
  call('ZREM', p .. 'access_ended', uid)
end
return #over
"""
)

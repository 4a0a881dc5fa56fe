-- Every request that locks runs this, so it does as little as it can: few calls, few strings, one
-- argument (packed.rs), and the head by its places (see common.lua). Answers with a word; with how
-- long it stays busy, below zero; or with the fields and, unless the lease tells it, the instant.
local call, pack, read = redis.call, struct.pack, struct.unpack
local key, given = KEYS[1], ARGV[1]
local fields = call('HMGET', key, 'h', 'u', 'c', 'd')
local h = fields[1]
if not h then return 'absent' end
if #h ~= 226 then
  local known = string.byte(h) == 1
  return redis.error_reply(known and 'KEEPCORRUPT wrong size' or 'KEEPFORMAT unknown format')
end

local clock = call('TIME')
local millis = clock[2] / 1000
local now = clock[1] * 1000 + (millis - millis % 1)
-- Behind them, for when they are needed: age, stale window, wait mark and grace.
local wants, touch, lease, owner, secret = read('>BI8I8c16c32', given)
local locks = wants >= 2
-- Version to limits, and then to rotation: none of that changes but by a touch.
local format, revision, start = read('>BI8c80', h)
if format ~= 1 then return redis.error_reply('KEEPFORMAT unknown format') end
local idle, _, idle_deadline, absolute_deadline, rotated, waiting, gone, leased, holder, digest,
  rest = read('>I8I8I8I8I8I8I8I8c16c32c65', h, 50)

if gone ~= 0 then
  return now - read('>I8', given, 66) <= gone and 'stale' or 'absent'
end
if secret ~= digest and wants % 2 == 1 then
  local age, stale_window = read('>I8I8', given, 66)
  return rotated ~= 0 and now - age <= rotated + stale_window and 'stale' or 'absent'
end
if now >= idle_deadline or now >= absolute_deadline then return 'expired' end

local moves = touch ~= 0 and now + idle - idle_deadline or 0
local touched = moves > 0 and moves >= touch
local busy = false
if locks then
  local own = leased ~= 0 and holder == owner
  busy = not own and leased > now
  if busy then
    waiting, touched = now + read('>I8', given, 82), false
  else
    if not own then waiting = 0 end
    holder, leased = owner, now + lease
  end
end
if touched then
  idle_deadline = now + idle
  local seen = math.max(read('>I8', h, 34), now)
  start = string.sub(h, 10, 33) .. pack('>I8', seen) .. string.sub(h, 42, 65)
    .. pack('>I8', idle_deadline) .. string.sub(h, 74, 89)
end
if locks or touched then
  -- Nobody waits, mostly, and it is not gone.
  local zero = '\0\0\0\0\0\0\0\0'
  h = '\1' .. pack('>I8', revision + 1) .. start
    .. (waiting == 0 and zero or pack('>I8', waiting)) .. zero .. pack('>I8', leased)
    .. holder .. digest .. rest
  call('HSET', key, 'h', h)
end
if busy then return now - leased end
if touched then
  local instant = math.min(idle_deadline, absolute_deadline) + read('>I8', given, 90)
  call('PEXPIREAT', key, string.format('%.0f', instant))
end
fields[1] = h
if not locks then fields[5] = now end
return fields

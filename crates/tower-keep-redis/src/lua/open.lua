-- Every request runs this, so it calls Redis no more often than it must, and reads and writes only
-- what it needs of the head, by its places in it (see common.lua).
local h, u, c, d = unpack(redis.call('HMGET', KEYS[1], 'h', 'u', 'c', 'd'), 1, 4)
if not h then return {'absent'} end
if string.byte(h) ~= 1 then return redis.error_reply('KEEPFORMAT unknown format') end
if #h ~= 226 then return redis.error_reply('KEEPCORRUPT wrong size') end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local secret, age, touch, owner, lease, grace, stale_window, wait_mark = unpack(ARGV, 1, 8)
local idle, _, idle_deadline, absolute_deadline, rotated, waiting, gone, leased, holder, digest =
  struct.unpack('>I8I8I8I8I8I8I8I8c16c32', h, 50)

local arrived = now - age
if gone ~= 0 then
  return {arrived <= gone and 'stale' or 'absent'}
end
if secret ~= '' and secret ~= digest then
  local under_way = rotated ~= 0 and arrived <= rotated + stale_window
  return {under_way and 'stale' or 'absent'}
end
if now >= idle_deadline or now >= absolute_deadline then return {'expired'} end

local moves = touch ~= '' and now + idle - idle_deadline or 0
local touched = moves > 0 and moves >= tonumber(touch)
local busy = false
if owner ~= '' then
  local own = leased ~= 0 and holder == owner
  busy = not own and leased > now
  if busy then
    waiting, touched = now + wait_mark, false
  else
    if not own then waiting = 0 end
    holder, leased = owner, now + lease
  end
end
if owner ~= '' or touched then
  local revision, version, generation, created, seen, authenticated =
    struct.unpack('>I8I8I8I8I8I8', h, 2)
  if touched then
    idle_deadline, seen = now + idle, math.max(seen, now)
  end
  h = struct.pack('>BI8I8I8I8I8I8', 1, revision + 1, version, generation, created, seen, authenticated)
    .. string.sub(h, 50, 65) .. struct.pack('>I8', idle_deadline) .. string.sub(h, 74, 89)
    .. struct.pack('>I8I8I8', waiting, gone, leased) .. holder .. string.sub(h, 130)
  redis.call('HSET', KEYS[1], 'h', h)
end
if busy then return {'busy', leased - now} end
if touched then
  local instant = math.min(idle_deadline, absolute_deadline) + grace
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', instant))
end
return {'granted', now, h, u, c, d}

local secret, age, touch, owner, lease, grace = unpack(ARGV, 1, 6)
local stale_window, wait_mark = tonumber(ARGV[7]), tonumber(ARGV[8])
local head, failure = read()
if not head then return failure or {'absent'} end

local arrived = now - tonumber(age)
if head[GONE] ~= 0 then
  return {arrived <= head[GONE] and 'stale' or 'absent'}
end
if secret ~= '' and secret ~= head[SECRET] then
  local under_way = head[ROTATED] ~= 0 and arrived <= head[ROTATED] + stale_window
  return {under_way and 'stale' or 'absent'}
end
if expired(head) then return {'expired'} end

local changed, touched = false, false
if owner ~= '' then
  local own = head[LEASE] ~= 0 and head[OWNER] == owner
  if not own and head[LEASE] > now then
    head[WAITING] = now + wait_mark
    write(head)
    return {'busy', head[LEASE] - now}
  end
  if not own then head[WAITING] = 0 end
  head[OWNER], head[LEASE] = owner, now + tonumber(lease)
  changed = true
end
if touch ~= '' then
  local moves = now + head[IDLE] - head[IDLE_DEADLINE]
  if moves > 0 and moves >= tonumber(touch) then
    head[IDLE_DEADLINE] = now + head[IDLE]
    head[SEEN] = math.max(head[SEEN], now)
    changed, touched = true, true
  end
end
if changed then write(head) end
if touched then expire(deadline(head), grace) end
return {'granted', now, unpack(redis.call('HMGET', key, 'h', 'u', 'c', 'd'))}

-- Puts a session into its user's index, as one under way, unless there are as many as may.
local id, cap = ARGV[1], ARGV[2]
local micros = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', micros))
forget(3)
if cap ~= '' and not redis.call('ZSCORE', key, id) then
  local all, count = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES'), 0
  for at = 1, #all, 2 do
    if #all[at] == 16 then count = count + 1 end
  end
  if count >= tonumber(cap) then return {'full', all} end
end
local score = string.format('%.0f', micros + UNDER_WAY)
redis.call('ZADD', key, score, 'p' .. id)
redis.call('ZADD', key, 'GT', score, id)
expire_index()
return {'entered'}

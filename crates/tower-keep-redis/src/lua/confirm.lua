-- The session of this entry has joined its user; tells whether the entry is still there.
local id, deadline = ARGV[1], tonumber(ARGV[2])
if not redis.call('ZSCORE', key, id) then return {'no'} end
redis.call('ZREM', key, 'p' .. id)
local score = math.max(deadline, now) * 1000 + tonumber(clock[2]) % 1000
redis.call('ZADD', key, 'GT', string.format('%.0f', score), id)
expire_index()
return {'yes'}

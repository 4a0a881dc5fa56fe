local keep = tonumber(ARGV[1])
local head, failure = read()
if not head then return failure or {'no'} end
if head[GONE] ~= 0 then
  if now < head[GONE] + keep then return {'no'} end
  redis.call('DEL', key)
  return {'tombstone'}
end
if not expired(head) then return {'no'} end
redis.call('DEL', key)
return {'expired'}

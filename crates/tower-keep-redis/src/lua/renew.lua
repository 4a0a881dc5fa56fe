local owner, lease = ARGV[1], tonumber(ARGV[2])
local head, failure = read()
if not head then return failure or {'no'} end
if head[LEASE] == 0 or head[OWNER] ~= owner or head[GONE] ~= 0 then return {'no'} end
head[LEASE] = math.max(head[LEASE], now + lease)
write(head)
return {'yes'}

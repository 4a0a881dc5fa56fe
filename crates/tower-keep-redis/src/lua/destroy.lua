local grace, channel, id = unpack(ARGV, 1, 3)
local head, failure = read()
if not head then return failure or {'no'} end
if head[GONE] ~= 0 or expired(head) then return {'no'} end
local waiting = waited_for(head)
bury(head, grace)
if waiting then redis.call('PUBLISH', channel, id) end
return {'yes'}

local grace, channel, id, user = unpack(ARGV, 1, 4)
local head, failure = read()
if not head then return failure or {'no'} end
if head[GONE] ~= 0 or expired(head) then return {'no'} end
if user ~= '' and redis.call('HGET', key, 'u') ~= string.sub(user, 2) then return {'no'} end
local waiting = waited_for(head)
bury(head, grace)
if waiting then redis.call('PUBLISH', channel, id) end
return {'yes'}

local commit, secret, idle, absolute, first_idle = unpack(ARGV, 1, 5)
local authenticated, remember, grace, user, client, data = unpack(ARGV, 6, 11)
local head, failure = read()
if failure then return failure end
if head then
  if head[GONE] ~= 0 then return {'gone'} end
  if committed(head, commit) then return {'done', now} end
  return {'collision'}
end

idle, absolute = tonumber(idle), tonumber(absolute)
-- Microseconds, so that an id which is used again does not repeat a revision.
local revision = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
head = {
  1, revision, 1, 0, now, now, authenticated == '1' and now or 0,
  idle, absolute, now + tonumber(first_idle), now + absolute,
  0, 0, 0, 0, string.rep('\0', 16), secret, commit .. string.rep('\0', 48), tonumber(remember),
}
local set = {'d', data}
if user ~= '' then set[#set + 1] = 'u'; set[#set + 1] = string.sub(user, 2) end
if client ~= '' then set[#set + 1] = 'c'; set[#set + 1] = client end
redis.call('HSET', key, 'h', pack(head), unpack(set))
expire(deadline(head), grace)
return {'done', now}

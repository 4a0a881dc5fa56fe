local expected, packed, grace, deadline, user, client, data = unpack(ARGV, 1, 7)
local head, failure = read()
if failure then return failure end
local revision
if expected == '' then
  if head then return {'no'} end
  revision = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
else
  if not head or struct.pack('>I8', head[REVISION]) ~= expected then return {'no'} end
  revision = head[REVISION] + 1
end
local set, del = {}, {}
for field, value in pairs({u = string.sub(user, 2), c = client, d = data}) do
  if value ~= '' or (field == 'u' and user ~= '') then
    set[#set + 1] = field; set[#set + 1] = value
  else
    del[#del + 1] = field
  end
end
packed = string.sub(packed, 1, 1) .. struct.pack('>I8', revision) .. string.sub(packed, 10)
redis.call('HSET', key, 'h', packed, unpack(set))
if del[1] then redis.call('HDEL', key, unpack(del)) end
expire(tonumber(deadline), grace)
return {'yes'}

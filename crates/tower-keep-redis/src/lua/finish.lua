local owner, version, commit, op, next_owner, lease = unpack(ARGV, 1, 6)
local grace, channel, id = unpack(ARGV, 7, 9)
local head, failure = read()
if not head then return failure or {'gone'} end

local waiting = waited_for(head)
local function done()
  return {'done', head[VERSION], now, waiting and 1 or 0, head[ABSOLUTE_DEADLINE]}
end

-- Before the owner: the first try may have given the lease to somebody else.
if committed(head, commit) then return done() end
local owned = head[LEASE] ~= 0 and head[OWNER] == owner
if head[GONE] ~= 0 then return {'gone'} end
if op ~= 'release' then
  if expired(head) then return {'gone'} end
  if head[VERSION] ~= tonumber(version) then return {'unknown'} end
end
if op == 'merge' then
  if head[LEASE] > now then return {'lost'} end
  next_owner = ''
elseif not owned then
  return {'lost'}
end

if op ~= 'release' then
  head[VERSION] = head[VERSION] + 1
  head[COMMITS] = commit .. string.sub(head[COMMITS], 1, 48)
end
if op == 'destroy' then
  bury(head, grace)
else
  local set, del, before = {}, {}, deadline(head)
  if op == 'put' then
    local secret, user, authenticated, anchor = unpack(ARGV, 10, 13)
    local idle, absolute, extend, client, remember, data = unpack(ARGV, 14, 19)
    if secret ~= '' then
      head[GENERATION] = head[GENERATION] + 1
      head[SECRET], head[ROTATED] = secret, now
    end
    if user ~= '' then
      -- A sign in front tells a user from none.
      if user == '-' then del = {'u'} else set = {'u', string.sub(user, 2)} end
      head[AUTHENTICATED] = 0
    end
    if authenticated == '1' then head[AUTHENTICATED] = now end
    if idle ~= '' then
      head[IDLE], head[ABSOLUTE] = tonumber(idle), tonumber(absolute)
      head[IDLE_DEADLINE] = now + head[IDLE]
    end
    if anchor == '1' then head[ABSOLUTE_DEADLINE] = now + head[ABSOLUTE] end
    if extend ~= '' then
      head[IDLE_DEADLINE] = math.max(head[IDLE_DEADLINE], now + tonumber(extend))
    end
    if remember ~= '' then head[FLAGS] = tonumber(remember) end
    if client ~= '' then set[#set + 1] = 'c'; set[#set + 1] = client end
    if data ~= '' then set[#set + 1] = 'd'; set[#set + 1] = data end
  end
  if op == 'merge' then set = {'d', ARGV[10]} end
  if next_owner ~= '' then
    head[OWNER], head[LEASE] = next_owner, now + tonumber(lease)
  else
    head[OWNER], head[LEASE] = string.rep('\0', 16), 0
  end
  redis.call('HSET', key, 'h', pack(head), unpack(set))
  if del[1] then redis.call('HDEL', key, del[1]) end
  if deadline(head) ~= before then expire(deadline(head), grace) end
end
if waiting and next_owner == '' then redis.call('PUBLISH', channel, id) end
return done()

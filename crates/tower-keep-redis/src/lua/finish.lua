-- Every request that changes something runs this, so it reads and writes only what it needs of the
-- head, by its places in it (see common.lua). The usual commit has new data, and none of the
-- arguments behind them.
local owner, version, commit, op, next_owner, lease, grace, channel, id, data = unpack(ARGV, 1, 10)
local h = redis.call('HGET', KEYS[1], 'h')
if not h then return {'gone'} end
if string.byte(h) ~= 1 then return redis.error_reply('KEEPFORMAT unknown format') end
if #h ~= 226 then return redis.error_reply('KEEPCORRUPT wrong size') end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local revision, at = struct.unpack('>I8I8', h, 2)
local idle_deadline, absolute_deadline, _, waiting, gone, leased, holder =
  struct.unpack('>I8I8I8I8I8I8c16', h, 66)
waiting = waiting > now and 1 or 0

-- Before the owner: the first try may have given the lease to somebody else.
if commit ~= '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' then
  local first, second, third, fourth = struct.unpack('c16c16c16c16', h, 162)
  if commit == first or commit == second or commit == third or commit == fourth then
    return {'done', at, now, waiting, absolute_deadline}
  end
end
if gone ~= 0 then return {'gone'} end
if op ~= 'release' then
  if now >= idle_deadline or now >= absolute_deadline then return {'gone'} end
  if at ~= tonumber(version) then return {'unknown'} end
end
if op == 'merge' then
  if leased > now then return {'lost'} end
  next_owner = ''
elseif leased == 0 or holder ~= owner then
  return {'lost'}
end

local commits, set, del = string.sub(h, 162, 225), {}, nil
if op ~= 'release' then
  at = at + 1
  commits = commit .. string.sub(commits, 1, 48)
end
if data ~= '' then set = {'d', data} end
-- Generation to limits; rotation to tombstone; the secret's digest and the flags.
local first, between = string.sub(h, 18, 65), string.sub(h, 82, 105)
local digest, flags = string.sub(h, 130, 161), string.sub(h, 226)
local before = math.min(idle_deadline, absolute_deadline)
if ARGV[11] then
  local secret, user, authenticated, anchor, idle, absolute = unpack(ARGV, 11, 16)
  local extend, client, remember = unpack(ARGV, 17, 19)
  local generation, created, seen, proved, own_idle, own_absolute =
    struct.unpack('>I8I8I8I8I8I8', first)
  if secret ~= '' then
    generation, digest = generation + 1, secret
    between = struct.pack('>I8', now) .. string.sub(between, 9)
  end
  if user ~= '' then
    -- A sign in front tells a user from none.
    if user == '-' then del = 'u' else set[#set + 1] = 'u'; set[#set + 1] = string.sub(user, 2) end
    proved = 0
  end
  if authenticated == '1' then proved = now end
  if idle ~= '' then
    own_idle, own_absolute = tonumber(idle), tonumber(absolute)
    idle_deadline = now + own_idle
  end
  if anchor == '1' then absolute_deadline = now + own_absolute end
  if extend ~= '' then idle_deadline = math.max(idle_deadline, now + extend) end
  if remember ~= '' then flags = string.char(remember) end
  if client ~= '' then set[#set + 1] = 'c'; set[#set + 1] = client end
  first = struct.pack('>I8I8I8I8I8I8', generation, created, seen, proved, own_idle, own_absolute)
end
if next_owner ~= '' then
  holder, leased = next_owner, now + lease
else
  holder, leased = string.rep('\0', 16), 0
end
local instant = math.min(idle_deadline, absolute_deadline)
if op == 'destroy' then
  -- Leaves nothing but the instant and the commits.
  between = string.sub(between, 1, 8) .. struct.pack('>I8I8', 0, now)
  digest, instant = string.rep('\0', 32), now
end
h = struct.pack('>BI8I8', 1, revision + 1, at) .. first
  .. struct.pack('>I8I8', idle_deadline, absolute_deadline) .. between
  .. struct.pack('>I8', leased) .. holder .. digest .. commits .. flags
redis.call('HSET', KEYS[1], 'h', h, unpack(set))
if op == 'destroy' then redis.call('HDEL', KEYS[1], 'u', 'c', 'd') end
if del then redis.call('HDEL', KEYS[1], del) end
if instant ~= before then
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.max(instant, now) + grace))
end
if waiting == 1 and next_owner == '' then redis.call('PUBLISH', channel, id) end
return {'done', at, now, waiting, absolute_deadline}

-- Every request that changes something runs this, so it does as little as it can, as open.lua. The
-- usual commit has new data, and none of the arguments behind them. Answers with a word; with the
-- instant, below zero if somebody waits; or, where that does not tell all, with a list.
local call, pack, read = redis.call, struct.pack, struct.unpack
local key, given, data, changes = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local RELEASE, MERGE, DESTROY = 0, 2, 3
local h = call('HGET', key, 'h')
if not h then return 'gone' end
if #h ~= 226 then
  local known = string.byte(h) == 1
  return redis.error_reply(known and 'KEEPCORRUPT wrong size' or 'KEEPFORMAT unknown format')
end

local clock = call('TIME')
local millis = clock[2] / 1000
local now = clock[1] * 1000 + (millis - millis % 1)
-- Behind them, for when they are needed: the next lease and its owner, grace, id and channel.
local op, hands_on, version, owner, commit = read('>BBI8c16c16', given)
-- The middle is from the generation to the tombstone.
local format, revision, at, middle = read('>BI8I8c88', h)
if format ~= 1 then return redis.error_reply('KEEPFORMAT unknown format') end
local idle_deadline, absolute_deadline, _, waiting, gone, leased, holder, digest,
  first, second, third, fourth, flags = read('>I8I8I8I8I8I8c16c32c16c16c16c16c1', h, 66)
waiting = waiting > now and 1 or 0

-- Before the owner: the first try may have given the lease to somebody else.
if (commit == first or commit == second or commit == third or commit == fourth)
  and commit ~= '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' then
  return {at, now, waiting, absolute_deadline}
end
if gone ~= 0 then return 'gone' end
if op ~= RELEASE then
  if now >= idle_deadline or now >= absolute_deadline then return 'gone' end
  if at ~= version then return 'unknown' end
  at, version = at + 1, version + 1
  first, second, third, fourth = commit, first, second, third
end
if op == MERGE then
  if leased > now then return 'lost' end
  hands_on = 0
elseif leased == 0 or holder ~= owner then
  return 'lost'
end

-- The lease of nobody, until never.
local held = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
if hands_on == 1 then
  local lease, next_owner = read('>I8c16', given, 43)
  held = pack('>I8', now + lease) .. next_owner
end
local set, del, expires
if changes or op == DESTROY then
  local before = math.min(idle_deadline, absolute_deadline)
  -- Generation to limits; rotation to tombstone.
  local start, between = string.sub(h, 18, 65), string.sub(h, 82, 105)
  if changes then
    local secret, user, authenticated, anchor, idle, absolute = unpack(ARGV, 3, 8)
    local extend, client, remember = unpack(ARGV, 9, 11)
    local generation, created, seen, proved, own_idle, own_absolute =
      read('>I8I8I8I8I8I8', start)
    set = data ~= '' and {'d', data} or {}
    if secret ~= '' then
      generation, digest = generation + 1, secret
      between = pack('>I8', now) .. string.sub(between, 9)
    end
    if user ~= '' then
      -- A sign in front tells a user from none.
      if user == '-' then
        del = 'u'
      else
        set[#set + 1] = 'u'; set[#set + 1] = string.sub(user, 2)
      end
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
    start = pack('>I8I8I8I8I8I8', generation, created, seen, proved, own_idle, own_absolute)
  end
  local instant = math.min(idle_deadline, absolute_deadline)
  if op == DESTROY then
    -- Leaves nothing but the instant and the commits.
    between = string.sub(between, 1, 8) .. pack('>I8I8', 0, now)
    digest, instant = string.rep('\0', 32), now
  end
  middle = start .. pack('>I8I8', idle_deadline, absolute_deadline) .. between
  if instant ~= before then expires = math.max(instant, now) + read('>I8', given, 67) end
end
h = '\1' .. pack('>I8I8', revision + 1, at) .. middle .. held .. digest
  .. first .. second .. third .. fourth .. flags
if set then
  call('HSET', key, 'h', h, unpack(set))
elseif data ~= '' then
  call('HSET', key, 'h', h, 'd', data)
else
  call('HSET', key, 'h', h)
end
if op == DESTROY then call('HDEL', key, 'u', 'c', 'd') end
if del then call('HDEL', key, del) end
if expires then call('PEXPIREAT', key, string.format('%.0f', expires)) end
if waiting == 1 and hands_on == 0 then
  call('PUBLISH', string.sub(given, 91), string.sub(given, 75, 90))
end
if changes or at ~= version then return {at, now, waiting, absolute_deadline} end
return waiting == 1 and -now or now

-- In front of every script: the instant, the layout of the head, and how it is read and written.
-- Nothing is written before everything is checked, because an error does not undo what was.
local key = KEYS[1]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- As in format.rs. Zero stands for an instant that is not set.
local LAYOUT = '>BI8I8I8I8I8I8I8I8I8I8I8I8I8I8c16c32c64B'
local SIZE, FIELDS = 226, 19
local FORMAT, REVISION, VERSION, GENERATION, CREATED, SEEN, AUTHENTICATED = 1, 2, 3, 4, 5, 6, 7
local IDLE, ABSOLUTE, IDLE_DEADLINE, ABSOLUTE_DEADLINE = 8, 9, 10, 11
local ROTATED, WAITING, GONE, LEASE, OWNER, SECRET, COMMITS, FLAGS = 12, 13, 14, 15, 16, 17, 18, 19

-- The head; or nil and, if there is one that cannot be read, an error to reply with.
local function read()
  local packed = redis.call('HGET', key, 'h')
  if not packed then return nil end
  if string.byte(packed) ~= 1 then return nil, redis.error_reply('KEEPFORMAT unknown format') end
  if #packed ~= SIZE then return nil, redis.error_reply('KEEPCORRUPT wrong size') end
  return {struct.unpack(LAYOUT, packed)}
end

-- The head as it is stored, with its next revision.
local function pack(head)
  head[REVISION] = head[REVISION] + 1
  return struct.pack(LAYOUT, unpack(head, 1, FIELDS))
end

local function write(head)
  local packed = pack(head)
  redis.call('HSET', key, 'h', packed)
  return packed
end

local function deadline(head)
  return math.min(head[IDLE_DEADLINE], head[ABSOLUTE_DEADLINE])
end

local function expired(head)
  return now >= deadline(head)
end

local function waited_for(head)
  return head[WAITING] > now
end

-- Redis itself removes the key this long after `instant`, or after now if that is past.
local function expire(instant, grace)
  redis.call('PEXPIREAT', key, string.format('%.0f', math.max(instant, now) + tonumber(grace)))
end

local function committed(head, commit)
  if commit == string.rep('\0', 16) then return false end
  for at = 1, 49, 16 do
    if string.sub(head[COMMITS], at, at + 15) == commit then return true end
  end
  return false
end

-- Leaves nothing but the instant and the commits.
local function bury(head, grace)
  head[GONE] = now
  head[SECRET] = string.rep('\0', 32)
  head[LEASE], head[WAITING] = 0, 0
  write(head)
  redis.call('HDEL', key, 'u', 'c', 'd')
  expire(now, grace)
end

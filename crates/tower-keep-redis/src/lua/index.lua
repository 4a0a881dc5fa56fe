-- In front of every script on a user's index, a sorted set. Its members are ids, each with the
-- instant from which on it may be forgotten, in microseconds. The same member with a `p` in front
-- marks one whose session has not joined yet.
local UNDER_WAY = 600 * 1000000

-- Redis itself removes the index with the last entry.
local function expire_index()
  local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2]
  redis.call('PEXPIREAT', key, string.format('%.0f', math.ceil(tonumber(last) / 1000)))
end

-- Forgets the entries named by the arguments from there on (an id, its score and that of its mark
-- each) if they are as they were when they were read.
local function forget(from)
  for at = from, #ARGV, 3 do
    local id = ARGV[at]
    local score = redis.call('ZSCORE', key, id)
    local mark = redis.call('ZSCORE', key, 'p' .. id) or ''
    if score == ARGV[at + 1] and mark == ARGV[at + 2] then
      redis.call('ZREM', key, id, 'p' .. id)
    end
  end
end

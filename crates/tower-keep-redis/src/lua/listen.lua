-- Marks the record as waited for, as a refused `open` does, or tells that nobody holds it.
local wait_mark = tonumber(ARGV[1])
local head, failure = read()
if not head then return failure or {'free'} end
if head[GONE] ~= 0 or expired(head) or head[LEASE] <= now then return {'free'} end
head[WAITING] = now + wait_mark
write(head)
return {'held'}

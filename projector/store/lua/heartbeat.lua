-- Records what was seen of the log, and when, by Redis' own clock; and tells where the bucket stands.
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- KEYS[3]  heartbeats of the bucket (hash)
-- ARGV[1]  incarnation the caller knows the bucket by
-- ARGV[2]  time, from clock.lua, before the caller asked for the log's ends: this call may arrive much later
-- ARGV[3]  prefix of the fields of meta that hold floors
-- ARGV[4]  floor of a partition whose end was not known when the bucket was begun: the end takes its place
-- ARGV[5..] partition, what was seen of it, partition, what was seen of it ...: a log end or '-', perhaps a code
-- Answers {'standing', position, position ...} in the order given, {'missing'} or {'sealed', epoch}.

local meta = redis.call('HMGET', KEYS[1], 'incarnation', 'sealed')
if meta[1] ~= ARGV[1] then return {'missing'} end
if meta[2] then return {'sealed', meta[2]} end
local time = redis.call('TIME')
local now, asked = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[2])
local answer = {'standing'}
for i = 5, #ARGV, 2 do
  -- What another projector found out later counts, unless its time is to come: then it was told by another clock.
  local known = tonumber(string.match(redis.call('HGET', KEYS[3], ARGV[i]) or '0', '^%d+') or '0')
  if known <= asked or known > now then redis.call('HSET', KEYS[3], ARGV[i], ARGV[2] .. ' ' .. ARGV[i + 1]) end
  local floor, log_end = ARGV[3] .. ARGV[i], string.match(ARGV[i + 1], '^%d+')
  if log_end and redis.call('HGET', KEYS[1], floor) == ARGV[4] then redis.call('HSET', KEYS[1], floor, log_end) end
  answer[#answer + 1] = redis.call('HGET', KEYS[2], ARGV[i]) or '0'
end
return answer

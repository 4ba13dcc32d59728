-- Records how far the log goes, by Redis' own clock, and tells where the bucket stands.
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- KEYS[3]  heartbeats of the bucket (hash)
-- ARGV[1]  incarnation the caller knows the bucket by
-- ARGV[2..] partition, log end offset, partition, log end offset ...
-- Answers {'standing', position, position ...} in the order given, {'missing'} or {'sealed', epoch}.

local meta = redis.call('HMGET', KEYS[1], 'incarnation', 'sealed')
if meta[1] ~= ARGV[1] then return {'missing'} end
if meta[2] then return {'sealed', meta[2]} end
local time = redis.call('TIME')
local milliseconds = string.format('%d%03d', time[1], math.floor(time[2] / 1000))
local answer = {'standing'}
for i = 2, #ARGV, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], milliseconds .. ' ' .. ARGV[i + 1])
  answer[#answer + 1] = redis.call('HGET', KEYS[2], ARGV[i]) or '0'
end
return answer

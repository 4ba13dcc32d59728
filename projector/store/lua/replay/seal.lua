-- Stops all writing into a bucket, and tells where it stands from now on.
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- ARGV[1]  incarnation the caller knows the bucket by
-- ARGV[2]  epoch of the caller's lease
-- Answers {'standing', name, value, name, value ...} of the positions, or {'missing'}.

if redis.call('HGET', KEYS[1], 'incarnation') ~= ARGV[1] then return {'missing'} end
local answer = {'standing'}
for _, text in ipairs(redis.call('HGETALL', KEYS[2])) do answer[#answer + 1] = text end
-- Last: a seal must not be left behind by a script that fails.
redis.call('HSET', KEYS[1], 'sealed', ARGV[2])
return answer

-- Sets where a bucket is gone on from, if it stands nowhere yet.
--
-- Follows lists.lua: set_fields(key, list, first).
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- ARGV[1]  incarnation the caller knows the bucket by
-- ARGV[2..] field, value, field, value ... of the positions
-- Answers {'set'}, {'missing'} or {'standing'}.

if redis.call('HGET', KEYS[1], 'incarnation') ~= ARGV[1] then return {'missing'} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'standing'} end
set_fields(KEYS[2], ARGV, 2)
return {'set'}

-- Makes the pointer to the live generation when there is none.
--
-- KEYS[1]  the pointer (hash)
-- ARGV     field, value, field, value ... of a first pointer
-- Answers the pointer's fields and values as they are then.

if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return redis.call('HGETALL', KEYS[1])

-- Lets a bucket be written again, unless a later epoch has sealed it.
--
-- KEYS[1]  meta of the bucket (hash)
-- ARGV[1]  epoch up to which seals are removed

local sealed = redis.call('HGET', KEYS[1], 'sealed')
if sealed and tonumber(sealed) <= tonumber(ARGV[1]) then redis.call('HDEL', KEYS[1], 'sealed') end
return 'open'

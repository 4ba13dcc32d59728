-- Lets a bucket be written again, unless a later epoch has sealed it.
--
-- Follows numbers.lua: number_in(text).
--
-- KEYS[1]  meta of the bucket (hash)
-- ARGV[1]  epoch up to which seals are removed

local sealed = redis.call('HGET', KEYS[1], 'sealed')
if sealed and number_in(sealed) <= tonumber(ARGV[1]) then redis.call('HDEL', KEYS[1], 'sealed') end
return 'open'

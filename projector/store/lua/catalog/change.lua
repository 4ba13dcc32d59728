#!lua flags=allow-oom
-- Changes the catalog in one step, if the lease is still the caller's.
--
-- KEYS[1]  the catalog (hash)
-- ARGV[1]  token of the caller
-- ARGV[2]  epoch in which the lease was taken
-- ARGV[3]  how many fields to delete, n
-- ARGV[4 .. 3 + n]  their names
-- ARGV[4 + n ..]    field, value, field, value ... to set
-- Answers 'changed' or 'lost'.

local token = string.match(redis.call('HGET', KEYS[1], 'lease') or '', '^%S+')
if token ~= ARGV[1] or redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return 'lost' end
local first = 4 + ARGV[3]
if first > 4 then redis.call('HDEL', KEYS[1], unpack(ARGV, 4, first - 1)) end
if first <= #ARGV then redis.call('HSET', KEYS[1], unpack(ARGV, first)) end
return 'changed'

#!lua flags=allow-oom
-- Takes or renews the lease of the catalog: whoever holds it, and nobody else, changes generations.
--
-- Follows leases.lua: lease_of(text, now, longest), milliseconds_now().
--
-- KEYS[1]  the catalog (hash)
-- ARGV[1]  token of the caller
-- ARGV[2]  for how many milliseconds, as every lease
-- ARGV[3]  who the caller is, for people
-- ARGV[4]  to renew: the epoch it was taken in; to take: empty
-- Answers {'ours', epoch, milliseconds of Redis' clock} or {'theirs', lease, milliseconds of Redis' clock}.

local now = milliseconds_now()
local lease = redis.call('HGET', KEYS[1], 'lease')
local epoch = redis.call('HGET', KEYS[1], 'epoch') or '0'
local token, holds = lease_of(lease, now, ARGV[2])
local wanted = string.format('%s %.0f %s', ARGV[1], now + ARGV[2], ARGV[3])
if ARGV[4] ~= '' then
  if token ~= ARGV[1] or epoch ~= ARGV[4] then return {'theirs', lease or '', now} end
else
  if holds then return {'theirs', lease, now} end
  epoch = tostring(redis.call('HINCRBY', KEYS[1], 'epoch', 1))
end
redis.call('HSET', KEYS[1], 'lease', wanted)
return {'ours', epoch, now}

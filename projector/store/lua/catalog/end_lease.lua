#!lua flags=allow-oom
-- Ends a lease whose time is over, so that its holder, should it wake up, can change nothing any more.
--
-- Follows leases.lua: lease_of(text, now, longest), milliseconds_now().
--
-- KEYS[1]  the catalog (hash)
-- ARGV[1]  how many milliseconds a lease is long at most
-- Answers {epoch, 1 while a lease holds else 0}; a seal of an older epoch, or without a lease, is a left-over.

local token, holds = lease_of(redis.call('HGET', KEYS[1], 'lease'), milliseconds_now(), ARGV[1])
if holds then return {redis.call('HGET', KEYS[1], 'epoch') or '0', 1} end
if token then
  redis.call('HDEL', KEYS[1], 'lease')
  redis.call('HINCRBY', KEYS[1], 'epoch', 1)
end
return {redis.call('HGET', KEYS[1], 'epoch') or '0', 0}

#!lua flags=allow-oom
-- Makes the pointer to the live generation when there is none.
--
-- Follows leases.lua: lease_of(text, now, longest), milliseconds_now().
--
-- KEYS[1]  the catalog (hash)
-- ARGV[1]  how many milliseconds a lease is long at most
-- ARGV[2..] field, value, field, value ... of a first pointer
-- Answers the catalog's fields and values as they are then; without a live generation while an import holds the lease.

if redis.call('HEXISTS', KEYS[1], 'live') == 0 then
  local now = milliseconds_now()
  local token, holds = lease_of(redis.call('HGET', KEYS[1], 'lease'), now, ARGV[1])
  if not holds then
    -- Its holder may only have slept: it must not switch to another generation now.
    if token then
      redis.call('HDEL', KEYS[1], 'lease')
      redis.call('HINCRBY', KEYS[1], 'epoch', 1)
    end
    redis.call('HSET', KEYS[1], 'began', string.format('%.0f', now), unpack(ARGV, 2))
  end
end
return redis.call('HGETALL', KEYS[1])

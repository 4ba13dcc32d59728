-- Makes the pointer to the live generation when there is none.
--
-- KEYS[1]  the catalog (hash)
-- ARGV     field, value, field, value ... of a first pointer
-- Answers the catalog's fields and values as they are then; without a live generation while an import holds the lease.

if redis.call('HEXISTS', KEYS[1], 'live') == 0 then
  local until_time = string.match(redis.call('HGET', KEYS[1], 'lease') or '', '^%S+ (%d+)')
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if not until_time or tonumber(until_time) <= now then
    -- Its holder may only have slept: it must not switch to another generation now.
    if until_time then
      redis.call('HDEL', KEYS[1], 'lease')
      redis.call('HINCRBY', KEYS[1], 'epoch', 1)
    end
    redis.call('HSET', KEYS[1], 'began', string.format('%.0f', now), unpack(ARGV))
  end
end
return redis.call('HGETALL', KEYS[1])

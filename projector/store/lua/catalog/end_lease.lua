-- Ends a lease whose time is over, so that its holder, should it wake up, can change nothing any more.
--
-- KEYS[1]  the catalog (hash)
-- Answers {epoch, 1 while a lease holds else 0}; a seal of an older epoch, or without a lease, is a left-over.

local ends = string.match(redis.call('HGET', KEYS[1], 'lease') or '', '^%S+ (%d+)')
local time = redis.call('TIME')
if ends and tonumber(ends) > time[1] * 1000 + math.floor(time[2] / 1000) then
  return {redis.call('HGET', KEYS[1], 'epoch'), 1}
end
if ends then
  redis.call('HDEL', KEYS[1], 'lease')
  redis.call('HINCRBY', KEYS[1], 'epoch', 1)
end
return {redis.call('HGET', KEYS[1], 'epoch') or '0', 0}

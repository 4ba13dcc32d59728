-- Remembers jobs that went, and forgets those that went long ago or are too many.
--
-- KEYS[1]  jobs that went (sorted set), by what is remembered of each
-- KEYS[2]  the same, by when they went, in milliseconds of Redis' clock (sorted set)
-- ARGV[1]  the most that are remembered
-- ARGV[2]  milliseconds that one is remembered
-- ARGV[3..] what is remembered of each, see schemas/gone_job.py
-- Answers how many are remembered. A key of another type is made anew: what it says is a courtesy.

local call = redis.call
for _, key in ipairs(KEYS) do
  local kind = call('TYPE', key).ok
  if kind ~= 'zset' and kind ~= 'none' then call('DEL', key) end
end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 3, #ARGV do
  call('ZADD', KEYS[1], 0, ARGV[i])
  call('ZADD', KEYS[2], now, ARGV[i])
end
local surplus = call('ZCARD', KEYS[2]) - tonumber(ARGV[1])
while true do
  local oldest = call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  if #oldest == 0 or (surplus <= 0 and now - oldest[2] <= tonumber(ARGV[2])) then break end
  call('ZREM', KEYS[1], oldest[1])
  call('ZREM', KEYS[2], oldest[1])
  surplus = surplus - 1
end
return call('ZCARD', KEYS[2])

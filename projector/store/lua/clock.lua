-- Tells the time of the server that holds a bucket.
--
-- KEYS[1]  any key of the bucket: it leads the call to the right server
-- Answers the time in milliseconds, as text.

local time = redis.call('TIME')
return string.format('%d%03d', time[1], math.floor(time[2] / 1000))

#!lua flags=allow-oom
-- Raises the time before which a job's last news must not be; it never falls.
--
-- Follows bytes.lua: is_less(a, b).
--
-- KEYS[1]  the catalog (hash)
-- ARGV[1]  name of its field
-- ARGV[2]  the wanted cutoff, a sortable time
-- ARGV[3]  name of the field that says when it was raised, in milliseconds of Redis' clock
-- ARGV[4]  name of the field that says which age was given for it
-- ARGV[5]  that age in seconds, '' when none was
-- Answers the cutoff in force.

local in_force = redis.call('HGET', KEYS[1], ARGV[1])
if in_force and not is_less(in_force, ARGV[2]) then return in_force end
local time = redis.call('TIME')
local raised = string.format('%d%03d', time[1], math.floor(time[2] / 1000))
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], ARGV[3], raised)
if ARGV[5] == '' then
  redis.call('HDEL', KEYS[1], ARGV[4])
else
  redis.call('HSET', KEYS[1], ARGV[4], ARGV[5])
end
return ARGV[2]

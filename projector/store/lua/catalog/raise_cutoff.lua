#!lua flags=allow-oom
-- Raises the time before which a job's last news must not be; it never falls.
--
-- Follows bytes.lua: is_less(a, b).
--
-- KEYS[1]  the catalog (hash)
-- ARGV[1]  name of its field
-- ARGV[2]  the wanted cutoff, a sortable time
-- Answers the cutoff in force.

local in_force = redis.call('HGET', KEYS[1], ARGV[1])
if in_force and not is_less(in_force, ARGV[2]) then return in_force end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return ARGV[2]

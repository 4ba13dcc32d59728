-- Makes a bucket that is missing; an existing one stays as it is.
--
-- Follows feed.lua: note_changes(key, salt, jobs, gone).
-- Follows lists.lua: set_fields(key, list, first).
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- KEYS[3]  heartbeats of the bucket (hash)
-- KEYS[4]  the feed of the bucket (stream)
-- ARGV[1]  incarnation for a new bucket
-- ARGV[2]  name of the field that holds it
-- ARGV[3..] floor field, offset, floor field, offset ...: what must be reached before the bucket may be read; then other
--           fields of meta and their values
-- Answers {incarnation in force, 1 when the bucket was made now, epoch of its seal or false}.

local meta = redis.call('HMGET', KEYS[1], ARGV[2], 'sealed')
if meta[1] then return {meta[1], 0, meta[2]} end
-- Positions without meta are of a bucket somebody damaged: folding again from the start mends what is there.
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
set_fields(KEYS[1], ARGV, 3)
redis.call('HSET', KEYS[1], ARGV[2], ARGV[1])
-- A first entry, of no job, from which readers can go on.
note_changes(KEYS[4], ARGV[1], {}, '')
return {ARGV[1], 1, false}

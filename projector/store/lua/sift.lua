#!lua flags=allow-oom
-- Begins, goes on with or ends the sifting of a bucket: its fill without jobs that have no news since a cutoff. It may be
-- what makes room in a Redis that is full.
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- ARGV[1]  incarnation the caller knows the bucket by
-- ARGV[2]  name of the field that tells of sifting
-- ARGV[3]  what it is expected to be, '' when not there
-- ARGV[4]  what it becomes, '' to end
-- ARGV[5]  what fields of meta begin with that are floors
-- Answers {'missing'}, {'sealed', epoch}, {'changed'}, {'behind'}, {'whole'} or {'sifting'}.
--
-- It is begun only in a bucket that has not reached its floors, so that nobody reads it; and a round is over when they
-- are reached. A round begins at the start of the log.

local call = redis.call
local meta = call('HMGET', KEYS[1], 'incarnation', 'sealed', ARGV[2])
if meta[1] ~= ARGV[1] then return {'missing'} end
if meta[2] then return {'sealed', meta[2]} end
if (meta[3] or '') ~= ARGV[3] then return {'changed'} end
local is_behind, fields = false, call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, #ARGV[5]) == ARGV[5] then
    local position = call('HGET', KEYS[2], string.sub(fields[i], #ARGV[5] + 1)) or '0'
    is_behind = is_behind or tonumber(position) < tonumber(fields[i + 1])
  end
end
if ARGV[3] == '' and not is_behind then return {'whole'} end
if ARGV[3] ~= '' and is_behind then return {'behind'} end
if ARGV[4] == '' then
  call('HDEL', KEYS[1], ARGV[2])
  return {'whole'}
end
call('DEL', KEYS[2])
call('HSET', KEYS[1], ARGV[2], ARGV[4])
return {'sifting'}

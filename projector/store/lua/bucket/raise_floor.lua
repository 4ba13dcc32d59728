-- Hides a bucket until its positions have reached the given offsets again; a floor never falls.
--
-- Follows numbers.lua: number_in(text).
--
-- KEYS[1]  meta of the bucket (hash)
-- ARGV     floor field, offset, floor field, offset ...

for i = 1, #ARGV, 2 do
  if tonumber(ARGV[i + 1]) > number_in(redis.call('HGET', KEYS[1], ARGV[i]) or '0') then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return 'raised'

-- For scripts that hand on lists without a limit, such as one entry for each partition: Lua unpacks some thousand values
-- at most, and fails beyond that, perhaps after it has written something.

local AT_ONCE = 2000 -- even: fields go with their values

-- Sets the fields and values of a list, from its index `first` on.
local function set_fields(key, list, first)
  for i = first, #list, AT_ONCE do
    redis.call('HSET', key, unpack(list, i, math.min(i + AT_ONCE - 1, #list)))
  end
end

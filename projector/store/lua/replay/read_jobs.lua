-- Reads jobs, as many as come to a limit of bytes, so that neither side holds much at a time.
--
-- KEYS     jobs of one bucket (hashes)
-- ARGV[1]  bytes from which on no further one is read
-- Answers {'read', fields of the first job, fields of the second ...}, empty for one that is gone, or {'damaged', key}.

local answer, size, limit = {'read'}, 0, tonumber(ARGV[1])
for _, key in ipairs(KEYS) do
  local fields = redis.pcall('HGETALL', key)
  if fields.err then return {'damaged', key} end
  for _, text in ipairs(fields) do size = size + #text end
  answer[#answer + 1] = fields
  if size >= limit then break end
end
return answer

-- For scripts that join a job into its hash: how a hash holds registers (schemas/job_hash.py), and which of two registers
-- is kept (projector/fold/job.py).
--
-- Follows bytes.lua: is_less(a, b).
-- Follows jobs/pieces.lua: whole(fields, name), PIECE.

local find, match, sub = string.find, string.match, string.sub
local MOST_CUT, MOST_PIECES, JOB_ID = 512, 9, '{ jobId }'

-- Answers whether the last piece of a stage's register differs from another one's in the record alone, which is a later
-- one: then it is the same report, if all pieces before it are the same, and that which is stored stays.
local function is_recorded_later(old, new)
  return #old < PIECE and #new < PIECE and match(old, '^.*\t') == match(new, '^.*\t') and is_less(old, new)
end

-- Answers what a detail begins with that is of the report which a stage's register is of.
local function stamp_of(code, stage)
  local time, id = match(stage, '^([^\t]*)\t[^\t]*\t([^\t]*)\t')
  return time and code .. '\t' .. time .. '\t' .. id .. '\t'
end

-- Answers the registers that fields hold: of stages and others their text, of a detail {what it begins with, value}.
-- Rules are {stage names, detail names, other names, set of details that are URLs, code of each stage, stage of each
-- code, name of the last news, how many characters of a stage's register are its time}.
local function registers_in(fields, rules)
  local registers = {}
  for _, name in ipairs(rules.stages) do registers[name] = whole(fields, name) end
  for _, name in ipairs(rules.others) do registers[name] = whole(fields, name) end
  for _, name in ipairs(rules.details) do
    local text = whole(fields, name)
    local code = text and sub(text, 1, 2)
    if text and sub(text, 3, 3) == '=' then
      local stage = registers[rules.stage_of[code]]
      local stamp = stage and stamp_of(code, stage)
      registers[name] = stamp and {stamp, sub(text, 4)}
    elseif text then
      local stamp, value = match(text, '^(%d%d\t[^\t]*\t[^\t]*\t)(.*)$')
      registers[name] = stamp and {stamp, value}
    end
  end
  return registers
end

-- Answers whether a detail is less than another one of its name: by what it begins with, then by what was reported.
local function is_less_detail(a, b, is_url, job_id)
  if a[1] ~= b[1] then return is_less(a[1], b[1]) end
  if not is_url or a[2] == b[2] then return is_less(a[2], b[2]) end
  local shown = string.gsub(job_id, '%%', '%%%%')
  return is_less((string.gsub(a[2], JOB_ID, shown)), (string.gsub(b[2], JOB_ID, shown)))
end

-- Joins the registers of a batch into those that are stored; answers whether a stage is another one now.
local function join(stored, batch, rules, job_id)
  local has_stage, news_name = false, rules.news
  local function hear(news)
    if news and (not stored[news_name] or is_less(stored[news_name], news)) then stored[news_name] = news end
  end
  for _, name in ipairs(rules.stages) do
    local old, new = stored[name], batch[name]
    local is_first = new and (not old or is_less(new, old))
    if old and new then
      local old_time, time = sub(old, 1, rules.time), sub(new, 1, rules.time)
      if old_time ~= time then hear(rules.code_of[name] .. '\t' .. (is_less(old_time, time) and time or old_time)) end
    end
    if is_first then stored[name], has_stage = new, true end
  end
  for _, name in ipairs(rules.details) do
    local old, new = stored[name], batch[name]
    if new and (not old or is_less_detail(old, new, rules.urls[name], job_id)) then stored[name] = new end
  end
  for _, name in ipairs(rules.others) do
    local old, new = stored[name], batch[name]
    if new and (not old or is_less(old, new)) then stored[name] = new end
  end
  return has_stage
end

-- Notes what makes a register of the fields this text: fields to set, and fields to remove, for it has fewer pieces now.
local function put(fields, name, text, changes)
  local function set(field, value)
    if fields[field] ~= value then
      changes.set[#changes.set + 1] = field
      changes.set[#changes.set + 1] = value
    end
  end
  local number = 2
  if #text < PIECE or #text > MOST_CUT or find(text, '[\128-\255]') then
    set(name, text)
  else
    set(name, sub(text, 1, PIECE))
    for at = PIECE + 1, #text + 1, PIECE do
      set(name .. ':' .. number, sub(text, at, at + PIECE - 1))
      number = number + 1
    end
  end
  while fields[name .. ':' .. number] do
    changes.gone[#changes.gone + 1] = name .. ':' .. number
    number = number + 1
  end
end

-- Answers what joins the fields of a batch into the stored ones of the same job: {set: name, value ..., gone: names,
-- has_stage: whether a stage is another one now}.
local function changes_of(stored_fields, batch_fields, rules, job_id)
  local stored, batch = registers_in(stored_fields, rules), registers_in(batch_fields, rules)
  local changes = {set = {}, gone = {}}
  changes.has_stage = join(stored, batch, rules, job_id)
  for _, name in ipairs(rules.stages) do
    if stored[name] then put(stored_fields, name, stored[name], changes) end
  end
  for _, name in ipairs(rules.others) do
    if stored[name] then put(stored_fields, name, stored[name], changes) end
  end
  for _, name in ipairs(rules.details) do
    local detail = stored[name]
    if detail then
      local code = sub(detail[1], 1, 2)
      local stage = stored[rules.stage_of[code]]
      local is_same = stage and stamp_of(code, stage) == detail[1]
      put(stored_fields, name, is_same and code .. '=' .. detail[2] or detail[1] .. detail[2], changes)
    end
  end
  return changes
end

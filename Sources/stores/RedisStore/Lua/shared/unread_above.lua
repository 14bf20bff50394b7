-- include origin
local function has_mention(references, wanted)
  local kind, size, start = string.match(references, '^%d+ %d+ (%d) (%d+) ()')
  if kind == '2' then return true end
  -- The blank in front of the first user ends the size.
  local found = kind == '1' and string.find(references, wanted, start - 1, true)
  return found and found < start + tonumber(size) - 1
end
-- Counts the messages above a number that other users wrote and that are not deleted, up to a
-- limit, and how many of them mention the user. Returns an error reply if the amendments are
-- damaged.
--
-- `wanted` is the user as `StoredReferences` has it, between two blanks.
local function unread_above(number, reader, most, wanted)
  local low, count, amend = math.max(oldest, number + 1), 0, prefix .. 'amend:' .. name
  local mentions = 0
  while low <= head and count < most do
    local entries = redis.call(
      'XRANGE', log, string.format('%.0f', low), '+', 'COUNT', math.min(256, most))
    if #entries == 0 then break end
    local amendments = {}
    if arev > 0 then
      local ids = {}
      for n = 1, #entries do ids[n] = string.match(entries[n][1], '^%d+') end
      amendments = redis.pcall('HMGET', amend, unpack(ids))
      if amendments.err then
        return redis.error_reply('DAMAGED ' .. amend .. ' is not a hash')
      end
    end
    for n, entry in ipairs(entries) do
      local is_deleted = string.find(entry[2][2], '^%d+ %-?%d+ 2 ')
      if amendments[n] then is_deleted = string.find(amendments[n], '^%d+ 2 ') end
      if count < most and not is_deleted and origin(entry) ~= reader then
        count = count + 1
        local references = entry[2][4]
        if references and wanted and has_mention(references, wanted) then
          mentions = mentions + 1
        end
      end
    end
    low = tonumber(string.match(entries[#entries][1], '^%d+')) + 1
  end
  return count, mentions
end

-- Reads the messages between two numbers. Returns them and their numbers, or an error reply if one
-- of them is missing.
local function read_range(from, to)
  if from > to then return {}, {} end
  local entries, ids =
    redis.call('XRANGE', log, string.format('%.0f', from), string.format('%.0f', to)), {}
  if #entries ~= to - from + 1 then
    local missing = from == to and 'message ' .. string.format('%.0f', from)
      or string.format('%d of the messages %.0f to %.0f', to - from + 1 - #entries, from, to)
    return redis.error_reply('DAMAGED ' .. log .. ' lacks ' .. missing)
  end
  for n = 1, #entries do ids[n] = string.match(entries[n][1], '^%d+') end
  return entries, ids
end

#!lua flags=no-writes
-- keys: key
-- arguments: history before limit
-- The present texts of messages below the number `before`, or of the newest ones if that is empty;
-- at most `limit`.
--
-- Returns the oldest number, the number of the first message, the value of each message in order,
-- the positions of those, from 1, whose value is an amendment; and with the oldest message the
-- pinned ones below it that have left the history (number, pin, …).
-- include reading
-- include read_range
local stop = tonumber(before) or head + 1
local high = math.min(head, stop - 1)
local low = math.max(oldest, high - tonumber(limit) + 1)
local entries, ids = read_range(low, high)
if entries.err then return entries end
local texts, amended = {}, {}
for n, entry in ipairs(entries) do texts[n] = entry[2][2] end
if arev > 0 then
  local amend = prefix .. 'amend:' .. name
  for from = 1, #ids, 500 do
    local to = math.min(from + 499, #ids)
    local values = redis.pcall('HMGET', amend, unpack(ids, from, to))
    if values.err then
      return redis.error_reply('DAMAGED ' .. amend .. ' is not a hash')
    end
    for n = from, to do
      local value = values[n - from + 1]
      if value then
        texts[n] = value
        amended[#amended + 1] = n
      end
    end
  end
end
local pinned = {}
if low <= oldest then
  local pins = prefix .. 'pins:' .. name
  local numbers = redis.pcall('HKEYS', pins)
  if numbers.err then
    return redis.error_reply('DAMAGED ' .. pins .. ' is not a hash')
  end
  for _, number in ipairs(numbers) do
    if tonumber(number) < math.min(oldest, stop) then
      pinned[#pinned + 1] = number
      pinned[#pinned + 1] = redis.call('HGET', pins, number)
    end
  end
end
return {oldest, low, texts, amended, pinned}

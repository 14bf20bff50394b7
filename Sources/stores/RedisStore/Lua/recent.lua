#!lua flags=no-writes
-- keys: key
-- arguments: history limit
-- The senders of the newest messages, at most `limit`.
--
-- Returns number, author, client id and time of each message, oldest first.
-- include reading
-- include origin
local found = {}
local low = math.max(oldest, head - tonumber(limit) + 1)
while low <= head do
  local entries = redis.call('XRANGE', log, string.format('%.0f', low), '+', 'COUNT', 256)
  if #entries == 0 then break end
  for _, entry in ipairs(entries) do
    local author, client, time = origin(entry)
    found[#found + 1] = string.match(entry[1], '^%d+')
    found[#found + 1] = author
    found[#found + 1] = client
    found[#found + 1] = time
  end
  low = tonumber(found[#found - 3]) + 1
end
return found

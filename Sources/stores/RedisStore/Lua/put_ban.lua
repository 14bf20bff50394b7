#!lua
-- keys: key
-- arguments: field value limit now
-- Stores a ban; at most `limit` of them have a place.
--
-- Returns 1, or 0 if there is no place. A full hash first loses the bans that have ended; their
-- values begin with their ends.
local count = redis.pcall('HLEN', key)
if type(count) == 'table' then
  return redis.error_reply('DAMAGED ' .. key .. ' is not a hash')
end
if count >= tonumber(limit) and redis.call('HEXISTS', key, field) == 0 then
  local entries, removed = redis.call('HGETALL', key), 0
  for n = 1, #entries, 2 do
    local ending = tonumber(string.match(entries[n + 1], '^(%d+) '))
    if ending and ending > 0 and ending <= tonumber(now) then
      redis.call('HDEL', key, entries[n])
      removed = removed + 1
    end
  end
  if count - removed >= tonumber(limit) then return 0 end
end
redis.call('HSET', key, field, value)
return 1

#!lua
-- keys: key
-- Increments the counter. Returns the new value.
local number = redis.pcall('HINCRBY', key, 'counted', 1)
if type(number) == 'table' or number < 1 then
  return redis.error_reply('DAMAGED ' .. key .. ' has no count in counted')
end
return number

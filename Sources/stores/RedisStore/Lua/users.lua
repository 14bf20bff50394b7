#!lua flags=no-writes
-- keys: key
-- arguments: numbers...
-- Returns the users of numbers.
local fields = {}
for index = NUMBERS, #ARGV do fields[#fields + 1] = 'n:' .. ARGV[index] end
if #fields == 0 then return {} end
local found = redis.pcall('HMGET', key, unpack(fields))
if found.err then return redis.error_reply('DAMAGED ' .. key .. ' is not a hash') end
return found

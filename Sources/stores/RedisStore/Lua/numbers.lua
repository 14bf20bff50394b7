#!lua
-- keys: key
-- arguments: lowest users...
-- Returns the numbers of users and assigns missing ones, from the number `lowest` on.
--
-- It writes `minted` even if nothing is assigned. Once a replica has this write, it also has the
-- numbers that another connection assigned; no number may be answered before.
local fields, latest, missing = {}, {}, 0
for index = USERS, #ARGV do fields[#fields + 1] = 'u:' .. ARGV[index] end
if #fields == 0 then return {} end
local found = redis.pcall('HMGET', key, unpack(fields))
if found.err then return redis.error_reply('DAMAGED ' .. key .. ' is not a hash') end
for n, field in ipairs(fields) do
  if found[n] then
    if not tonumber(found[n]) then
      return redis.error_reply('DAMAGED ' .. key .. ' has no number in ' .. field)
    end
  elseif latest[field] == nil then
    latest[field], missing = false, missing + 1
  end
end
local minted = redis.pcall('HINCRBY', key, 'minted', missing)
if type(minted) == 'table' or minted < missing or minted > 2 ^ 51 then
  return redis.error_reply('DAMAGED ' .. key .. ' has no count in minted')
end
local number = tonumber(lowest) + minted - missing
for n, field in ipairs(fields) do
  if not found[n] then
    if not latest[field] then
      latest[field] = string.format('%.0f', number)
      redis.call('HSET', key, field, latest[field], 'n:' .. latest[field], string.sub(field, 3))
      number = number + 1
    end
    found[n] = latest[field]
  end
end
return found

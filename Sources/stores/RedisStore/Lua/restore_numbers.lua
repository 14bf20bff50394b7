#!lua
-- keys: key
-- arguments: minted counted numbers...
-- group restored: user number
-- Writes a tenant's numbers. ARGV: how many numbers are assigned, the counter; then user and
-- number of each.
--
-- Neither total decreases. Returns the first user that has another number, or whose number another
-- user has, and writes nothing then; an empty text if there is none.
local function each(visit)
  for index = NUMBERS, #ARGV, RESTORED_SIZE do
    local user, number = ARGV[index + RESTORED_USER], ARGV[index + RESTORED_NUMBER]
    local conflict = visit(user, number)
    if conflict then return conflict end
  end
end
local conflict = each(function(user, number)
  local found = redis.call('HMGET', key, 'u:' .. user, 'n:' .. number)
  if (found[1] or number) ~= number or (found[2] or user) ~= user then return user end
end)
if conflict then return conflict end
local totals = redis.call('HMGET', key, 'minted', 'counted')
for n, field in ipairs({'minted', 'counted'}) do
  local total = n == 1 and minted or counted
  if tonumber(total) > tonumber(totals[n] or 0) then redis.call('HSET', key, field, total) end
end
each(function(user, number)
  redis.call('HSET', key, 'u:' .. user, number, 'n:' .. number, user)
end)
return ''

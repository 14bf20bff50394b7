-- The amendments of retained messages up to one, {revision, number, value} each, or an error
-- reply.
local function amended_since(revision, highest)
  local amend = prefix .. 'amend:' .. name
  local all = redis.pcall('HGETALL', amend)
  if all.err then return redis.error_reply('DAMAGED ' .. amend .. ' is not a hash') end
  local found = {}
  for n = 1, #all, 2 do
    local amended = tonumber(all[n])
    local its = tonumber(string.match(all[n + 1], '^%d+'))
    if amended >= oldest and amended <= highest and its > revision then
      found[#found + 1] = {its, all[n], all[n + 1]}
    end
  end
  return found
end

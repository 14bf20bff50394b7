#!lua flags=no-writes
-- keys: index
-- arguments: direction score name limit
-- Reads at most `limit` entries of an index. ARGV: `up` or `down`; score and name of the entry to
-- start behind, or two empty arguments.
--
-- Returns the name and score of each.
local is_down = direction == 'down'
local command, from, to = 'ZRANGEBYSCORE', score, '+inf'
if is_down then command, to = 'ZREVRANGEBYSCORE', '-inf' end
score, limit = tonumber(score), tonumber(limit)
if not score then from = is_down and '+inf' or '-inf' end
-- By bytes, as Redis orders them: Lua's comparison depends on the locale.
local function precedes(left, right)
  for n = 1, math.min(#left, #right) do
    local a, b = string.byte(left, n), string.byte(right, n)
    if a ~= b then return a < b end
  end
  return #left < #right
end
local found, offset = {}, 0
while #found < 2 * limit do
  local entries = redis.pcall(command, index, from, to, 'WITHSCORES', 'LIMIT', offset, limit)
  if entries.err then
    return redis.error_reply('DAMAGED ' .. index .. ' is not a sorted set')
  end
  for n = 1, #entries, 2 do
    local is_after = not score or tonumber(entries[n + 1]) ~= score
    if not is_after then
      if is_down then
        is_after = precedes(entries[n], name)
      else
        is_after = precedes(name, entries[n])
      end
    end
    if is_after and #found < 2 * limit then
      found[#found + 1] = entries[n]
      found[#found + 1] = entries[n + 1]
    end
  end
  if #entries < 2 * limit then break end
  offset = offset + limit
end
return found

#!lua
-- keys: index
-- arguments: entries...
-- group stale: name score
-- Removes index entries whose scores have not increased since they were found stale. ARGV: name
-- and score of each.
for entry = ENTRIES, #ARGV, STALE_SIZE do
  local name = ARGV[entry + STALE_NAME]
  local score = redis.pcall('ZSCORE', index, name)
  if type(score) == 'string' and tonumber(score) <= tonumber(ARGV[entry + STALE_SCORE]) then
    redis.call('ZREM', index, name)
  end
end
return 0

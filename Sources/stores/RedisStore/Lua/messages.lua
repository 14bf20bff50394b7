#!lua flags=no-writes
-- keys: key
-- arguments: history numbers...
-- Messages by their numbers.
--
-- Returns the entries of those that are retained, and their amendments (number, amendment, …).
-- include reading
-- include overlays
local entries, ids = {}, {}
for index = NUMBERS, #ARGV do
  local number = tonumber(ARGV[index])
  local entry = number >= oldest and number <= head
    and redis.call('XRANGE', log, ARGV[index], ARGV[index])[1]
  if entry then
    entries[#entries + 1] = entry
    ids[#ids + 1] = ARGV[index]
  end
end
local amendments, damage = overlays(ids)
return damage or {entries, amendments}

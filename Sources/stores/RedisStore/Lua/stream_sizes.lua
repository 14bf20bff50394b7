#!lua flags=no-writes,allow-cross-slot-keys
-- arguments: cursor count prefix
-- Scans some keys of a server for streams. `prefix` is that of the shards' keys.
--
-- Returns the next cursor, the total number of keys, how many keys were scanned, and the bytes of
-- the streams among them.
local page = redis.call('SCAN', cursor, 'COUNT', count)
local bytes = 0
for _, key in ipairs(page[2]) do
  if string.sub(key, 1, #prefix) == prefix and string.find(key, '}:log:', 1, true) then
    bytes = bytes + (redis.call('MEMORY', 'USAGE', key) or 0)
  end
end
return {page[1], redis.call('DBSIZE'), #page[2], bytes}

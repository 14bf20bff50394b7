#!lua flags=no-writes
-- keys: key
-- arguments: history before limit
-- All messages of a conversation, page by page, for its inspection. ARGV: as for `search`.
--
-- Returns the oldest number, the stream's entries and their amendments (number, amendment, …).
-- include reading
-- include read_range
-- include overlays
local stop = tonumber(before) or head + 1
local high = math.min(head, stop - 1)
local entries, ids = read_range(math.max(oldest, high - tonumber(limit) + 1), high)
if entries.err then return entries end
local amendments, damage = overlays(ids)
return damage or {oldest, entries, amendments}

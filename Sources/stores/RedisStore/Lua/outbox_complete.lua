#!lua
-- keys: outbox
-- arguments: group group_count groups...
-- Acknowledges events for a group. ARGV: the groups, and the positions.
-- include outbox_finish
local positions = GROUPS + group_count
finish({unpack(ARGV, GROUPS, positions - 1)}, {unpack(ARGV, positions)})
return 0

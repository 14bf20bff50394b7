#!lua
-- arguments: owner history notices notices...
-- Writes a batch. KEYS: for each run of writes to one conversation its hash, and in a cluster the
-- other keys. ARGV: the publications with channel and payload of each; then the runs, each with
-- its writes (`write_runs`). In Redis Cluster the writes name no index entries, which lie in other
-- slots and are written before.
--
-- Returns 0 after storing everything and publishing; otherwise three values for each refused
-- write: its position, the reason and a number. A run reads and writes its conversation's state
-- once. Most runs are one message without annotations, for which the script creates no table or
-- function.
local last = #ARGV
-- include write_runs
-- include write_end

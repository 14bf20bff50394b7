#!lua
-- keys: key log members amendments threads pins
-- arguments: previous groups...
-- Writes a part of a conversation that does not exist yet. ARGV: `begin`, or the id of the
-- stream's last entry (empty if it has none); then four groups, each after its count: members
-- (user, entry), messages (id, entry; amendment, references and entry of the thread, each perhaps
-- empty), pins (number, message) and the fields of the hash (name, value).
--
-- The part with the hash is the last one, because a conversation exists if and only if its hash
-- does. `begin` removes what an interrupted copy has left. Returns `done`, `exists`, or `changed`
-- if another process has written to the stream.
local call, at = redis.call, GROUPS
if call('EXISTS', key) == 1 then return 'exists' end
if previous == 'begin' then
  call('DEL', log, members, amendments, threads, pins)
else
  local last = call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if (last and last[1] or '') ~= previous then return 'changed' end
end
local function each(size, write)
  local count = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, count do
    write(unpack(ARGV, at, at + size - 1))
    at = at + size
  end
end
each(2, function(user, entry) call('HSET', members, user, entry) end)
each(5, function(id, entry, amendment, references, reply)
  if references == '' then
    call('XADD', log, id, 'm', entry)
  else
    call('XADD', log, id, 'm', entry, 'r', references)
  end
  local number = string.match(id, '^%d+')
  if amendment ~= '' then call('HSET', amendments, number, amendment) end
  if reply ~= '' then call('ZADD', threads, 0, reply) end
end)
each(2, function(number, message) call('HSET', pins, number, message) end)
each(2, function(name, value) call('HSET', key, name, value) end)
return 'done'

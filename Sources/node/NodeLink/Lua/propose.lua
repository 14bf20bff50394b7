#!lua
-- keys: view views events subject copy
-- arguments: expected number text hash view_limit reason node age name process detail
-- Replaces the current view if it has the expected number. `subject` is the record of the evicted
-- node, or else the holder of the proposer's name; `copy` the source of an incomplete copy; `age`
-- the minimum age in milliseconds of the evicted node's last heartbeat. An empty `text` leaves no
-- node. Without a `detail` the change is a step of a longer one, and no event. A node may join only
-- while its process holds its name and no copy is incomplete. It releases the name when it leaves.
--
-- Returns 1 if it was replaced, and 0 if another view is current, the node is alive, another
-- process holds the name, or a copy is incomplete.
if (redis.call('HGET', view, 'number') or '0') ~= expected then return 0 end
if reason == 'joins' and redis.call('GET', subject) ~= process then return 0 end
if reason == 'joins' and redis.call('EXISTS', copy) == 1 then return 0 end
if reason == 'leaves' and redis.call('GET', subject) == process then
  redis.call('DEL', subject)
end
if reason == 'dies' then
  local time = redis.call('TIME')
  local beat = redis.call('HGET', subject, 'beat')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if beat and now - tonumber(beat) < tonumber(age) then return 0 end
  redis.call('DEL', subject)
end
redis.call('HSET', view, 'number', number, 'text', text, 'hash', hash)
if text == '' then
  redis.call('DEL', views)
else
  redis.call('RPUSH', views, text)
  redis.call('LTRIM', views, -tonumber(view_limit), -1)
end
if detail ~= '' then
  redis.call('XADD', events, 'MAXLEN', '~', EVENT_LIMIT, '*', 'event', reason, 'node', node,
    'name', name, 'view', number, 'detail', detail)
end
return 1

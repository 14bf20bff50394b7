#!lua
-- keys: view views node holder copy nodes...
-- arguments: known_number known_hash record record_lifetime process name_lifetime
-- Records a heartbeat and returns the current state. `node` and `nodes` are the records of this
-- node and of the other known ones, `holder` is the holder of the node's name, `copy` the source of
-- an incomplete copy. Lifetimes are in milliseconds. An empty `process` does not claim the name.
--
-- Returns Redis' time in milliseconds, the current view number, the texts of the views that the
-- node does not know, oldest first, the time of each other node's last heartbeat, the process that
-- holds the name, and Redis' time in microseconds. Fails while a copy is incomplete: a node would
-- serve a part of the conversations, and change them.
local source = redis.call('GET', copy)
if source then
  return redis.error_reply('COPY from ' .. source .. ' is incomplete: repeat `confab copy`')
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', node, 'beat', now, 'record', record)
redis.call('PEXPIRE', node, record_lifetime)
local kept = redis.call('HMGET', view, 'number', 'hash')
local number, texts, beats = tonumber(kept[1] or '0'), {}, {}
-- If only the key of the view is lost, there is no number but there are texts.
known_number = tonumber(known_number)
if number == 0 or number ~= known_number or (kept[2] or '') ~= known_hash then
  local missing = number - known_number
  -- A node without a view, or with another one, needs only the newest.
  if known_number == 0 or missing < 1 then missing = 1 end
  texts = redis.call('LRANGE', views, -missing, -1)
end
for index = NODES, #KEYS do
  beats[#beats + 1] = redis.call('HGET', KEYS[index], 'beat') or ''
end
local name_holder = redis.call('GET', holder) or ''
if process ~= '' and (name_holder == '' or name_holder == process) then
  name_holder = process
  redis.call('SET', holder, process, 'PX', name_lifetime)
end
local micros = string.format('%.0f', time[1] * 1000000 + time[2])
return {now, number, texts, beats, name_holder, micros}

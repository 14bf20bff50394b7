#!lua
-- keys: incident events
-- arguments: duration details...
-- Records an event, unless another node has just recorded the same incident: one that overlaps with
-- this incident of `duration` milliseconds. `details` are the event's names and values. Returns 1
-- if it was recorded.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = redis.call('GET', incident)
if last and now - tonumber(last) < tonumber(duration) then return 0 end
redis.call('SET', incident, string.format('%.0f', now))
redis.call('XADD', events, 'MAXLEN', '~', EVENT_LIMIT, '*', unpack(ARGV, DETAILS))
return 1

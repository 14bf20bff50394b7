#!lua flags=no-writes
-- keys: key
-- Reads everything that can show a fault of a conversation.
--
-- Returns false if the conversation does not exist, and otherwise in this order:
--
-- - the state;
-- - the state that the messages behind the head imply: empty if there are none, `broken` if they
--   do not follow each other;
-- - the number of these messages;
-- - the revision of the last amendment, as stored and as the amendments imply;
-- - the creation time, if the catalog must list the conversation;
-- - the members, with the times at which they joined.
local cut = string.find(key, ':conv:', 1, true)
local prefix, name = string.sub(key, 1, cut), string.sub(key, cut + 6)
local function damaged(which, kind)
  return redis.error_reply('DAMAGED ' .. which .. ' is not a ' .. kind)
end
local found = redis.pcall('HMGET', key, 'at', 'arev', 'listed', 'ended', 'created')
if found.err then return damaged(key, 'hash') end
local state, amended, listed, ended, created = unpack(found)
if not state and redis.call('EXISTS', key) == 0 then return false end
local rev, head = string.match(state or '', '^1 (%d+) (%d+) %-?%d+$')
if not rev then
  return redis.error_reply('DAMAGED ' .. key .. ' has no numbers in at')
end

local log = prefix .. 'log:' .. name
local behind = redis.pcall('XRANGE', log, string.format('%.0f', tonumber(head) + 1), '+',
  'COUNT', 10000)
if behind.err then return damaged(log, 'stream') end
local following, last, revision, time = '', tonumber(head), tonumber(rev), nil
for _, entry in ipairs(behind) do
  local number = tonumber(string.match(entry[1], '^(%d+)%-0$'))
  local its, at = string.match(entry[2][2] or '', '^(%d+) (%-?%d+) ')
  if number ~= last + 1 or not its or tonumber(its) <= revision then
    following = 'broken'
    break
  end
  last, revision, time = number, tonumber(its), at
end
if time and following == '' then
  following = '1 ' .. string.format('%.0f %.0f ', revision, last) .. time
end

local amend = prefix .. 'amend:' .. name
local amendments, highest = redis.pcall('HVALS', amend), 0
if amendments.err then return damaged(amend, 'hash') end
for _, value in ipairs(amendments) do
  highest = math.max(highest, tonumber(string.match(value, '^(%d+) ') or 0))
end

local members = prefix .. 'members:' .. name
local entries, people = redis.pcall('HGETALL', members), {}
if entries.err then return damaged(members, 'hash') end
if type(redis.pcall('HLEN', prefix .. 'pins:' .. name)) == 'table' then
  return damaged(prefix .. 'pins:' .. name, 'hash')
end
if type(redis.pcall('ZCARD', prefix .. 'threads:' .. name)) == 'table' then
  return damaged(prefix .. 'threads:' .. name, 'sorted set')
end
for n = 1, #entries, 2 do
  -- Without the former members that the conversation remembers (`Member.Role`).
  local role = tonumber(string.match(entries[n + 1], '^%d+') or 0)
  if role <= ADMIN_ROLE then
    people[#people + 1] = entries[n]
    people[#people + 1] = string.match(entries[n + 1], '^%d+ (%-?%d+) ') or ''
  end
end
return {state, following, #behind, amended or '0', string.format('%.0f', highest),
  listed and not ended and created or '', people}

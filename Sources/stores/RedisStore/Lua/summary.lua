#!lua flags=no-writes
-- keys: key
-- arguments: history user limit mention
-- The summary of a conversation. For a member's list, ARGV has the user, the limit of the unread
-- count, and the user as mentions have it.
--
-- Returns the hash; for a member's list also the member's entry, the newest message, its
-- amendment, the unread count and the count of unread mentions. Returns 0 if the user is not a
-- member.
-- include reading
-- include unread_above
if not user then return {redis.call('HGETALL', key)} end
local members = prefix .. 'members:' .. name
local member = redis.pcall('HGET', members, user)
if type(member) == 'table' then
  return redis.error_reply('DAMAGED ' .. members .. ' is not a hash')
end
if not member then return 0 end
-- A former member that the conversation remembers (`Member.Role`).
if tonumber(string.match(member, '^%d+') or 0) > ADMIN_ROLE then return 0 end
local read = tonumber(string.match(member, '^%d+ %-?%d+ (%d+) '))
if not read then
  return redis.error_reply('DAMAGED ' .. members .. ' has a malformed entry')
end
local last, amendment, unread, mentions = false, false, 0, 0
if oldest <= head then
  local newest = string.format('%.0f', head)
  last = redis.call('XRANGE', log, newest, newest)[1] or false
  if arev > 0 then
    local amend = prefix .. 'amend:' .. name
    amendment = redis.pcall('HGET', amend, newest)
    if type(amendment) == 'table' then
      return redis.error_reply('DAMAGED ' .. amend .. ' is not a hash')
    end
  end
  unread, mentions = unread_above(read, user, tonumber(limit), mention)
  if type(unread) == 'table' then return unread end
end
return {redis.call('HGETALL', key), member, last, amendment, unread, mentions}

#!lua flags=no-writes
-- keys: key
-- arguments: history after user
-- The number of messages above the number `after` that other users wrote and that are not deleted.
-- include reading
-- include unread_above
return (unread_above(tonumber(after), user, math.huge))

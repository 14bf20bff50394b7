-- The author, client id and time of a stream entry, as in `StoredMessage`; empty if malformed.
local function origin(entry)
  local value = entry[2][2]
  local time, author, person, client, start =
    string.match(value, '^%d+ (%-?%d+) %d+ (%d+) (%d+) (%d+) %d+ %d+ ()')
  if not time then return '', '', '' end
  local id = start + author + person
  return string.sub(value, start, start + author - 1),
    string.sub(value, id, id + client - 1), time
end

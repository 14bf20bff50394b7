-- Adds a message with annotations to the stream, and a reply to its thread. Returns an error
-- without a change if one of the keys holds another type.
--
-- A message has reactions and a pin when it is written again and only its amended form is left.
annotate = annotate or function()
  local sequence = string.match(ARGV[at + MESSAGE_ID], '^%d+')
  local reply, references = ARGV[at + ANNOTATED_THREAD], ARGV[at + ANNOTATED_REFERENCES]
  local threads = reply ~= '' and prefix .. 'threads:' .. name
  local found = threads and pcall('ZSCORE', threads, reply)
  if type(found) == 'table' then return found end
  local hashes = {prefix .. 'amend:' .. name, prefix .. 'pins:' .. name}
  local values = {ARGV[at + ANNOTATED_AMENDMENT], ARGV[at + ANNOTATED_PIN]}
  for n, value in ipairs(values) do
    found = value ~= '' and pcall('HEXISTS', hashes[n], sequence)
    if type(found) == 'table' then return found end
  end
  local stream = prefix .. 'log:' .. name
  if references == '' then
    found = pcall('XADD', stream, ARGV[at + MESSAGE_ID], 'm', ARGV[at + MESSAGE_ENTRY])
  else
    found = pcall('XADD', stream, ARGV[at + MESSAGE_ID], 'm', ARGV[at + MESSAGE_ENTRY],
      'r', references)
  end
  if type(found) == 'table' then return found end
  if threads then call('ZADD', threads, 0, reply) end
  for n, value in ipairs(values) do
    if value ~= '' then call('HSET', hashes[n], sequence, value) end
  end
  amended = string.match(values[1], '^%d+') or amended
  return found
end

-- Everything but a message that can be appended: `cursors` cursors, one write of another kind, or
-- a message that does not follow the head. Returns the reason of a refusal and its number, or
-- nothing.
change = change or function(letter, cursors)
  local members = prefix .. 'members:' .. name
  local rev, head, updated = string.match(state or '1 0 0 0', '^1 (%d+) (%d+) (%-?%d+)$')
  if not rev then return 'damaged', 0 end

  -- Adds an index entry, if there is one; returns false on failure. Its score never decreases.
  local function list(index, score, id)
    return index == '' or type(pcall('ZADD', index, 'GT', score, id)) ~= 'table'
  end

  -- A member's entry after a change: neither cursor moves back. Nil if the old entry is malformed.
  local function moved(old, role, joined, read, delivered, rest)
    local old_role, old_joined, r, d, old_rest =
      string.match(old, '^(%d+) (%-?%d+) (%d+) (%d+) (.*)$')
    if not old_role then return nil end
    if tonumber(r) > tonumber(read) then read = r end
    if tonumber(d) > tonumber(delivered) then delivered = d end
    return (role or old_role) .. ' ' .. (joined or old_joined) .. ' ' .. read .. ' '
      .. delivered .. ' ' .. (rest or old_rest)
  end

  -- The pinned copy of a message, with the author, the time and the reply that an earlier copy or
  -- the stream has, because these never change. Nil if that one is malformed.
  local function pinned(copy, earlier, is_kept)
    local size, start = string.match(copy, '^(%d+) ()')
    local rest = string.sub(copy, start + size)
    if earlier then
      size, start = string.match(earlier, '^(%d+) ()')
      return size and string.sub(earlier, 1, start + size - 1) .. rest
    end
    if not is_kept then return copy end
    local id = ARGV[at + AMEND_SEQUENCE]
    local found = pcall('XRANGE', prefix .. 'log:' .. name, id, id)
    local value, references = '', ''
    if found[1] then value, references = found[1][2][2], found[1][2][4] or '' end
    local time, sizes, author, person, client, agent, texts = string.match(value,
      '^%d+ (%-?%d+) %d+ ((%d+) (%d+) (%d+) (%d+) )%d+ ()')
    if not time then return nil end
    texts = string.sub(value, texts, texts + author + person + client + agent - 1)
    local first = #references .. ' ' .. references .. '0 ' .. time .. ' 0 ' .. sizes
      .. '0 ' .. texts
    return #first .. ' ' .. first .. rest
  end

  if letter == 'r' then
    -- One read and one write for all cursors.
    local users, entries, latest = {}, {}, {}
    local before = at + CURSORS_SIZE - CURSOR_SIZE
    for n = 1, cursors do users[n] = ARGV[before + CURSOR_SIZE * n + CURSOR_USER] end
    local found = pcall('HMGET', members, unpack(users))
    if found.err then return 'damaged', 0 end
    for n = 1, cursors do
      local entry = latest[users[n]] or found[n]
      if entry then
        local cursor = before + CURSOR_SIZE * n
        entry = moved(entry, nil, nil, ARGV[cursor + CURSOR_READ],
          ARGV[cursor + CURSOR_DELIVERED], nil)
        if not entry then return 'damaged', 0 end
        latest[users[n]] = entry
        entries[#entries + 1] = users[n]
        entries[#entries + 1] = entry
      end
    end
    if #entries > 0 then call('HSET', members, unpack(entries)) end
    return
  end

  -- All other kinds begin with their revision. A message begins with the state that it follows,
  -- which is no number, so it is always refused here. A conversation is created once, before all
  -- else.
  local revision = ARGV[at + SKIP_REVISION]
  if tonumber(revision) ~= rev + 1 or (letter == 'c') == (state ~= nil) then
    return 'step', tonumber(rev)
  end
  if letter == 'c' or letter == 'u' then
    if letter == 'c' and call('EXISTS', key) == 1 or not list(ARGV[at + CREATE_INDEX],
      ARGV[at + CREATE_SCORE], ARGV[at + CREATE_ID]) then
      return 'damaged', 0
    end
    -- The hash has the fields that are not empty.
    for field = 1, tonumber(ARGV[at + CREATE_COUNT]) do
      local entry = at + CREATE_SIZE + FIELD_SIZE * (field - 1)
      if ARGV[entry + FIELD_VALUE] ~= '' then
        call('HSET', key, ARGV[entry + FIELD_NAME], ARGV[entry + FIELD_VALUE])
      elseif letter == 'u' then
        call('HDEL', key, ARGV[entry + FIELD_NAME])
      end
    end
    if ARGV[at + CREATE_UPDATED] ~= '' then updated = ARGV[at + CREATE_UPDATED] end
  elseif letter == 'a' then
    local id, copy = ARGV[at + AMEND_SEQUENCE], ARGV[at + AMEND_PIN]
    local sequence = tonumber(id)
    if sequence < 1 or sequence > tonumber(head) then return 'step', tonumber(rev) end
    local amend, pins = prefix .. 'amend:' .. name, prefix .. 'pins:' .. name
    local is_kept = sequence > head - history
    local old = is_kept and pcall('HGET', amend, id)
    local pin = pcall('HGET', pins, id)
    if type(old) == 'table' or type(pin) == 'table' then return 'damaged', 0 end
    if copy ~= '' then
      copy = pinned(copy, pin, is_kept)
      if not copy then return 'damaged', 0 end
    end
    -- A deleted message never gets content again, but the change still counts.
    local is_deleted = old and string.find(old, '^%d+ 2 ')
    if is_kept and not is_deleted then
      call('HSET', amend, id, revision .. ' ' .. ARGV[at + AMEND_STATE])
      amended = revision
      -- Amendments of trimmed messages are removed now and then.
      if call('HLEN', amend) % 64 == 0 then
        for _, trimmed in ipairs(call('HKEYS', amend)) do
          if tonumber(trimmed) <= head - history then call('HDEL', amend, trimmed) end
        end
      end
    end
    if copy ~= '' and not is_deleted then
      call('HSET', pins, id, copy)
    elseif pin then
      call('HDEL', pins, id)
    end
    if ARGV[at + AMEND_TIME] ~= '' then updated = ARGV[at + AMEND_TIME] end
  elseif letter == 'j' then
    local user = ARGV[at + MEMBER_USER]
    local role, joined = ARGV[at + MEMBER_ROLE], ARGV[at + MEMBER_JOINED]
    local read, delivered = ARGV[at + MEMBER_READ], ARGV[at + MEMBER_DELIVERED]
    local old, entry = pcall('HGET', members, user), nil
    if not old then
      entry = role .. ' ' .. joined .. ' ' .. read .. ' ' .. delivered .. ' '
        .. ARGV[at + MEMBER_NAME]
    elseif type(old) ~= 'table' then
      entry = moved(old, role, joined, read, delivered, ARGV[at + MEMBER_NAME])
    end
    if not entry or not list(ARGV[at + MEMBER_INDEX], ARGV[at + MEMBER_SCORE],
      ARGV[at + MEMBER_ID]) then
      return 'damaged', 0
    end
    call('HSET', members, user, entry)
  elseif letter == 'd' then
    if type(pcall('HDEL', members, ARGV[at + REMOVE_USER])) == 'table' then
      return 'damaged', 0
    end
  elseif letter == 'e' then
    call('HSETNX', key, 'ended', ARGV[at + END_TIME])
    updated = ARGV[at + END_TIME]
  end
  state, has_moved = '1 ' .. revision .. ' ' .. head .. ' ' .. updated, true
end

-- A write's first argument is the letter of its kind. The names of its arguments begin with:
--
-- - `message` (m): a message without annotations; `t` also trims the stream.
-- - `annotated` (n).
-- - `cursors` (r): the changed cursors of several users, which follow (`cursor`).
-- - `create` (c and u): fields of the conversation's hash follow (`field`); u changes some.
-- - `amend` (a), `member` (j), `remove` (d), `skip` (s), `end` (e).
--
-- The names of an index entry are `index score id`; they are empty if there is none.
-- group notice: channel payload
-- group run: epoch count
-- group message: kind before after id entry
-- group annotated: kind before after id entry references thread trims amendment pin
-- group cursors: kind count
-- group cursor: user read delivered
-- group create: kind revision updated index score id count
-- group field: name value
-- group amend: kind revision sequence time state pin
-- group member: kind revision user role joined read delivered name index score id
-- group remove: kind revision user
-- group skip: kind revision
-- group end: kind revision time
local call, pcall = redis.call, redis.pcall
history = tonumber(history)
local at = NOTICES + NOTICE_SIZE * notices
local refusals, reasons, run, position = {}, {}, 0, 0
-- Per run: the conversation's keys; its state (format, revision, head and last change; nil if it
-- does not exist); the revision of its last amendment in this run.
local key, prefix, name, state, has_moved, amended, change, annotate

-- In a cluster, further keys follow those of the runs, only for Redis' own checks.
while at <= last do
  run = run + 1
  key = KEYS[run]
  local epoch, count = ARGV[at + RUN_EPOCH], tonumber(ARGV[at + RUN_COUNT])
  at = at + RUN_SIZE
  local cut = string.find(key, ':conv:', 1, true)
  prefix, name = string.sub(key, 1, cut), string.sub(key, cut + 6)
  local lease = pcall('HGET', prefix .. 'lease', 'owner')
  local stored, reason, number = pcall('HGET', key, 'at'), nil, nil
  state, has_moved, amended = stored or nil, false, nil
  if reasons[key] then
    -- After a refusal, all later writes of the conversation are refused.
    reason, number = unpack(reasons[key])
  elseif type(lease) == 'table' or type(stored) == 'table' then
    reason, number = 'damaged', 0
  elseif lease ~= epoch .. ' ' .. owner then
    reason, number = 'fenced', tonumber(string.match(lease or '', '^%d+') or 0)
  end

  while count > 0 do
    local kind, writes = ARGV[at], 1
    local is_message = kind == 'm' or kind == 't' or kind == 'n'
    -- The number of writes that this one stands for.
    if kind == 'r' then writes = tonumber(ARGV[at + CURSORS_COUNT]) end
    if is_message and not reason and state
      and string.find(state, ARGV[at + MESSAGE_BEFORE], 1, true) == 1 then
      local log = prefix .. 'log:' .. name
      local added
      if kind == 'n' then
        -- include write_annotated
        added = annotate()
      else
        added = pcall('XADD', log, ARGV[at + MESSAGE_ID], 'm', ARGV[at + MESSAGE_ENTRY])
      end
      if type(added) == 'table' then
        reason, number = 'damaged', 0
      else
        if kind == 't' or kind == 'n' and ARGV[at + ANNOTATED_TRIMS] ~= '' then
          -- The replies that leave the history also leave their threads.
          local gone = tonumber(string.match(ARGV[at + MESSAGE_ID], '^%d+')) - history
          local threads = prefix .. 'threads:' .. name
          if gone > 0 and pcall('EXISTS', threads) == 1 then
            for _, old in ipairs(call('XRANGE', log, '-', string.format('%.0f', gone))) do
              local root = string.match(old[2][4] or '', '^%d+ (%d+)')
              if tonumber(root or 0) > 0 then
                pcall('ZREM', threads, string.format('%016x:%016x', root,
                  string.match(old[1], '^%d+')))
              end
            end
          end
          call('XTRIM', log, 'MAXLEN', '~', history)
        end
        state, has_moved = ARGV[at + MESSAGE_AFTER], true
      end
    elseif not reason then
      -- Creating a function costs Redis a tenth of what a message costs.
      -- include write_change
      reason, number = change(kind, writes)
    end
    if reason then
      for refused = position, position + writes - 1 do
        refusals[#refusals + 1] = refused
        refusals[#refusals + 1] = reason
        refusals[#refusals + 1] = number
      end
    end
    position, count = position + writes, count - writes
    if kind == 'm' or kind == 't' then
      at = at + MESSAGE_SIZE
    elseif kind == 'r' then
      at = at + CURSORS_SIZE + CURSOR_SIZE * writes
    elseif kind == 'c' or kind == 'u' then
      at = at + CREATE_SIZE + FIELD_SIZE * ARGV[at + CREATE_COUNT]
    else
      at = at + ({n = ANNOTATED_SIZE, a = AMEND_SIZE, j = MEMBER_SIZE, d = REMOVE_SIZE,
        s = SKIP_SIZE, e = END_SIZE})[kind]
    end
  end

  if reason then reasons[key] = {reason, number} end
  if has_moved then call('HSET', key, 'at', state) end
  if amended then call('HSET', key, 'arev', amended) end
end

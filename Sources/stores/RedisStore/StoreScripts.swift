/// The store's scripts. Each is atomic, because a check and the write that depends on it must not
/// be separated.
///
/// Each script gets the key of a conversation's hash and derives the conversation's other keys from
/// it: they have the same hash tag and so the same slot (`StoreKeys`). Redis Cluster also gets the
/// other keys, so that it replies TRYAGAIN while a moving slot has them on two nodes. Commands that
/// may fail use `pcall`, because a script that fails halfway keeps what it has written.
enum StoreScripts {
    /// Claims a shard under the next epoch. KEYS: the lease. ARGV: the owner, and the number of its
    /// view.
    ///
    /// Returns the epoch, which is stored before the owner's name. If the shard was claimed under a
    /// later view, changes nothing and returns that view in an array.
    static let claim = """
        #!lua
        local view = redis.call('HGET', KEYS[1], 'view')
        if view and tonumber(view) > tonumber(ARGV[2]) then return {tonumber(view)} end
        local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
        local owner = string.format('%.0f', epoch) .. ' ' .. ARGV[1]
        redis.call('HSET', KEYS[1], 'owner', owner, 'view', ARGV[2])
        return epoch
        """

    /// The part of `write` for everything but a message that can be appended: `count` cursors, one
    /// write of another kind, or a message that does not follow the head. Returns the reason of a
    /// refusal and its number, or nothing.
    private static let change = """
        function(kind, count)
          local members = prefix .. 'members:' .. name
          local rev, head, updated = string.match(state or '1 0 0 0', '^1 (%d+) (%d+) (%-?%d+)$')
          if not rev then return 'damaged', 0 end

          -- Adds the index entry named by the arguments at this position, if any; returns false on
          -- failure. An entry's score never decreases.
          local function list(first)
            if ARGV[first] == '' then return true end
            local added = pcall('ZADD', ARGV[first], 'GT', ARGV[first + 1], ARGV[first + 2])
            return type(added) ~= 'table'
          end

          -- A member's entry after a change: neither cursor moves back. Nil if the stored entry is
          -- malformed.
          local function moved(stored, role, joined, read, delivered, name)
            local old_role, old_joined, r, d, old_name =
              string.match(stored, '^(%d+) (%-?%d+) (%d+) (%d+) (.*)$')
            if not old_role then return nil end
            if tonumber(r) > tonumber(read) then read = r end
            if tonumber(d) > tonumber(delivered) then delivered = d end
            return (role or old_role) .. ' ' .. (joined or old_joined) .. ' ' .. read .. ' '
              .. delivered .. ' ' .. (name or old_name)
          end

          -- The pinned copy of a message, with the author, the time and the reply that an earlier
          -- copy or the stream has, because these never change. Nil if that one is malformed.
          local function pinned(copy, earlier, is_kept)
            local size, start = string.match(copy, '^(%d+) ()')
            local rest = string.sub(copy, start + size)
            if earlier then
              size, start = string.match(earlier, '^(%d+) ()')
              return size and string.sub(earlier, 1, start + size - 1) .. rest
            end
            if not is_kept then return copy end
            local found = pcall('XRANGE', prefix .. 'log:' .. name, ARGV[at + 2], ARGV[at + 2])
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

          if kind == 'r' then
            -- One read and one write for all cursors.
            local users, entries, latest = {}, {}, {}
            for n = 1, count do users[n] = ARGV[at + 3 * n - 1] end
            local stored = pcall('HMGET', members, unpack(users))
            if stored.err then return 'damaged', 0 end
            for n = 1, count do
              local entry = latest[users[n]] or stored[n]
              if entry then
                entry = moved(entry, nil, nil, ARGV[at + 3 * n], ARGV[at + 3 * n + 1], nil)
                if not entry then return 'damaged', 0 end
                latest[users[n]] = entry
                entries[#entries + 1] = users[n]
                entries[#entries + 1] = entry
              end
            end
            if #entries > 0 then call('HSET', members, unpack(entries)) end
            return
          end

          -- A message's first argument is the state it follows, not a number, so it is always
          -- refused here. A conversation is created once, before all else.
          if tonumber(ARGV[at + 1]) ~= rev + 1 or (kind == 'c') == (state ~= nil) then
            return 'step', tonumber(rev)
          end
          if kind == 'c' then
            if call('EXISTS', key) == 1 or not list(at + 12) then return 'damaged', 0 end
            call('HSET', key, 'access', ARGV[at + 2], 'title', ARGV[at + 3],
              'created', ARGV[at + 5])
            if ARGV[at + 4] ~= '' then call('HSET', key, 'creator', ARGV[at + 4]) end
            if ARGV[at + 7] ~= '' then call('HSET', key, 'ended', ARGV[at + 7]) end
            if ARGV[at + 8] ~= '' then call('HSET', key, 'details', ARGV[at + 8]) end
            call('HSET', key, 'origin', ARGV[at + 9])
            if ARGV[at + 10] ~= '' then call('HSET', key, 'listed', ARGV[at + 10]) end
            if ARGV[at + 11] ~= '' then call('HSET', key, 'pinning', ARGV[at + 11]) end
            updated = ARGV[at + 6]
          elseif kind == 'a' then
            local number = tonumber(ARGV[at + 2])
            if number < 1 or number > tonumber(head) then return 'step', tonumber(rev) end
            local amend, pins = prefix .. 'amend:' .. name, prefix .. 'pins:' .. name
            local is_kept = number > head - history
            local stored = is_kept and pcall('HGET', amend, ARGV[at + 2])
            local pin, copy = pcall('HGET', pins, ARGV[at + 2]), ARGV[at + 5]
            if type(stored) == 'table' or type(pin) == 'table' then
              return 'damaged', 0
            end
            if copy ~= '' then
              copy = pinned(copy, pin, is_kept)
              if not copy then return 'damaged', 0 end
            end
            -- A deleted message never gets content again, but the change still counts.
            local is_deleted = stored and string.find(stored, '^%d+ 2 ')
            if is_kept and not is_deleted then
              call('HSET', amend, ARGV[at + 2], ARGV[at + 1] .. ' ' .. ARGV[at + 4])
              amended = ARGV[at + 1]
              -- Amendments of trimmed messages are removed now and then.
              if call('HLEN', amend) % 64 == 0 then
                for _, old in ipairs(call('HKEYS', amend)) do
                  if tonumber(old) <= head - history then call('HDEL', amend, old) end
                end
              end
            end
            if copy ~= '' and not is_deleted then
              call('HSET', pins, ARGV[at + 2], copy)
            elseif pin then
              call('HDEL', pins, ARGV[at + 2])
            end
            if ARGV[at + 3] ~= '' then updated = ARGV[at + 3] end
          elseif kind == 'j' then
            local stored = pcall('HGET', members, ARGV[at + 2])
            local entry
            if not stored then
              entry = ARGV[at + 3] .. ' ' .. ARGV[at + 4] .. ' ' .. ARGV[at + 5] .. ' '
                .. ARGV[at + 6] .. ' ' .. ARGV[at + 7]
            elseif type(stored) ~= 'table' then
              entry = moved(stored, ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6],
                ARGV[at + 7])
            end
            if not entry or not list(at + 8) then return 'damaged', 0 end
            call('HSET', members, ARGV[at + 2], entry)
          elseif kind == 'u' then
            if not list(at + 6) then return 'damaged', 0 end
            call('HSET', key, 'access', ARGV[at + 2], 'title', ARGV[at + 3],
              'details', ARGV[at + 4])
            if ARGV[at + 5] == '' then
              call('HDEL', key, 'listed')
            else
              call('HSET', key, 'listed', ARGV[at + 5])
            end
          elseif kind == 'd' then
            if type(pcall('HDEL', members, ARGV[at + 2])) == 'table' then return 'damaged', 0 end
          elseif kind == 'e' then
            call('HSETNX', key, 'ended', ARGV[at + 2])
            updated = ARGV[at + 2]
          end
          state, has_moved = '1 ' .. ARGV[at + 1] .. ' ' .. head .. ' ' .. updated, true
        end
        """

    /// The part of `write` for a message with annotations: adds it to the stream, and a reply to
    /// its thread. Returns an error without a change if one of the keys holds another type.
    ///
    /// A message has reactions and a pin when it is written again and only its amended form is
    /// left.
    private static let annotated = """
        function()
          local number = string.match(ARGV[at + 3], '^%d+')
          local threads = ARGV[at + 6] ~= '' and prefix .. 'threads:' .. name
          local added = threads and pcall('ZSCORE', threads, ARGV[at + 6])
          if type(added) == 'table' then return added end
          local hashes = {'amend:', 'pins:'}
          for index, part in ipairs(hashes) do
            hashes[index] = prefix .. part .. name
            added = ARGV[at + 7 + index] ~= '' and pcall('HEXISTS', hashes[index], number)
            if type(added) == 'table' then return added end
          end
          local log = prefix .. 'log:' .. name
          if ARGV[at + 5] == '' then
            added = pcall('XADD', log, ARGV[at + 3], 'm', ARGV[at + 4])
          else
            added = pcall('XADD', log, ARGV[at + 3], 'm', ARGV[at + 4], 'r', ARGV[at + 5])
          end
          if type(added) == 'table' then return added end
          if threads then call('ZADD', threads, 0, ARGV[at + 6]) end
          for index, hash in ipairs(hashes) do
            if ARGV[at + 7 + index] ~= '' then call('HSET', hash, number, ARGV[at + 7 + index]) end
          end
          amended = string.match(ARGV[at + 8], '^%d+') or amended
          return added
        end
        """

    /// Writes a batch. KEYS: for each run of writes to one conversation its hash, and in a cluster
    /// the other keys. ARGV: the owner, the history limit, the number of publications with channel
    /// and payload of each; then for each run the epoch, the number of writes, and the writes (see
    /// `ScriptArguments`). In Redis Cluster the writes name no index entries, which lie in other
    /// slots and are written before.
    ///
    /// Returns 0 after storing everything and publishing; otherwise three values for each refused
    /// write: its position, the reason and a number. A run reads and writes its conversation's
    /// state once. Most runs are one message without annotations, for which the script creates
    /// no table or function.
    static let write = Self.write(fillsOutbox: false)
    static let writeWithOutbox = Self.write(fillsOutbox: true)

    /// - Parameter fillsOutbox: whether the events of the outbox follow the runs
    ///   (`OutboxScripts.append`). Without them the script costs nothing more.
    private static func write(fillsOutbox: Bool) -> String {
        """
        #!lua
        local call, pcall = redis.call, redis.pcall
        local owner, history, at, last = ARGV[1], tonumber(ARGV[2]), 4 + 2 * ARGV[3], #ARGV
        \(fillsOutbox ? OutboxScripts.skipEvents : "")
        local refusals, reasons, run, index = {}, {}, 0, 0
        -- Per run: the conversation's keys; its state (format, revision, head and last change; nil
        -- if it does not exist); the revision of its last amendment in this run.
        local key, prefix, name, state, has_moved, amended, change, annotate

        -- In a cluster, further keys follow those of the runs, only for Redis' own checks.
        while at <= last do
          run = run + 1
          key = KEYS[run]
          local epoch, count = ARGV[at], tonumber(ARGV[at + 1])
          at = at + 2
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
            if kind == 'r' then writes = tonumber(ARGV[at + 1]) end
            if is_message and not reason and state
              and string.find(state, ARGV[at + 1], 1, true) == 1 then
              local log, added = prefix .. 'log:' .. name, nil
              if kind == 'n' then
                annotate = annotate or \(annotated)
                added = annotate()
              else
                added = pcall('XADD', log, ARGV[at + 3], 'm', ARGV[at + 4])
              end
              if type(added) == 'table' then
                reason, number = 'damaged', 0
              else
                if kind == 't' or kind == 'n' and ARGV[at + 7] ~= '' then
                  -- The replies that leave the history also leave their threads.
                  local gone = tonumber(string.match(ARGV[at + 3], '^%d+')) - history
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
                state, has_moved = ARGV[at + 2], true
              end
            elseif not reason then
              -- Creating a function costs Redis a tenth of what a message costs.
              change = change or \(change)
              reason, number = change(kind, writes)
            end
            if reason then
              for refused = index, index + writes - 1 do
                refusals[#refusals + 1] = refused
                refusals[#refusals + 1] = reason
                refusals[#refusals + 1] = number
              end
            end
            index, count = index + writes, count - writes
            if kind == 'm' or kind == 't' then
              at = at + 5
            elseif kind == 'r' then
              at = at + 2 + 3 * writes
            else
              at = at + ({n = 10, c = 15, a = 6, j = 11, u = 9, d = 3, e = 3, s = 2})[kind]
            end
          end

          if reason then reasons[key] = {reason, number} end
          if has_moved then call('HSET', key, 'at', state) end
          if amended then call('HSET', key, 'arev', amended) end
        end
        \(fillsOutbox ? OutboxScripts.append : "")
        if #refusals > 0 then return refusals end
        -- The batch is stored even if the user may not publish.
        for notice = 4, 2 + 2 * ARGV[3], 2 do pcall('PUBLISH', ARGV[notice], ARGV[notice + 1]) end
        return 0
        """
    }
}

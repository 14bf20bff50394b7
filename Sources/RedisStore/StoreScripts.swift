/// What Redis does for the store, each in one step: scripts, because a check and the write that hangs on it must not be parted.
///
/// Each gets the key of a conversation's hash as a key, and makes the names of the conversation's other keys from it: they have the same
/// hash tag, and so the same slot (`StoreKeys`). Redis Cluster is told of the others as well, behind it, so that it puts a script off
/// while a slot moves and has them on two sides. Commands are called so that an
/// error comes back as a value: a script that failed half-way would keep what it had written.
enum StoreScripts {
    /// Names an owner of a shard, under the next epoch, which is the answer. KEYS: the lease. ARGV: the owner, and the number of the view
    /// under which it claims. Where the shard was claimed under a later one, nothing is done, and that one is the answer, in an array.
    static let claim = """
        #!lua
        local view = redis.call('HGET', KEYS[1], 'view')
        if view and tonumber(view) > tonumber(ARGV[2]) then return {tonumber(view)} end
        local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
        redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'view', ARGV[2])
        return epoch
        """

    /// Writes a batch. KEYS: for each run of writes of one conversation its hash, and in a cluster the other keys. ARGV: the owner, how many
    /// messages are kept, the number of notices with channel and payload of each, and for each run the epoch, the number of writes, and the
    /// writes (`StoreWords` says how). In Redis Cluster the writes name no lists, which lie in other slots and have been written before.
    ///
    /// Answers 0 when everything is stored, and has published the notices then; else three values for each write that was refused: its place, why, and the number that
    /// belongs to it. What a conversation is stored up to is read once and written once, however many writes it has.
    static let write = """
        #!lua
        local owner, history, at = ARGV[1], tonumber(ARGV[2]), 4 + 2 * ARGV[3]
        local states, order, leases, refusals, place = {}, {}, {}, {}, -1
        local call, pcall = redis.call, redis.pcall

        local function begin(key)
          local cut = string.find(key, ':conv:', 1, true)
          local prefix = string.sub(key, 1, cut)
          local lease = leases[prefix]
          if not lease then
            lease = pcall('HMGET', prefix .. 'lease', 'epoch', 'owner')
            leases[prefix] = lease
          end
          local state = {prefix = prefix, name = string.sub(key, cut + 6), lease = lease, rev = 0, head = 0}
          local found = pcall('HMGET', key, 'v', 'rev', 'head')
          if lease.err or found.err or found[1] and found[1] ~= '1' then
            state.damaged = true
          elseif found[1] then
            state.exists, state.rev, state.head = true, tonumber(found[2]), tonumber(found[3])
            if not state.rev or not state.head then state.damaged = true end
          end
          states[key] = state
          order[#order + 1] = key
          return state
        end

        local function refuse(state, why, number)
          if not state.why then state.why, state.number = why, number end
          refusals[#refusals + 1] = place
          refusals[#refusals + 1] = state.why
          refusals[#refusals + 1] = state.number
        end

        -- Puts a conversation into a list, where the command at this place names one; false where that cannot be done. A line never moves
        -- back.
        local function list(first)
          if ARGV[first] == '' then return true end
          return type(pcall('ZADD', ARGV[first], 'GT', ARGV[first + 1], ARGV[first + 2])) ~= 'table'
        end

        -- What a member's entry becomes: neither cursor moves back. Nil where it is no entry of ours.
        local function moved(stored, role, joined, read, delivered, name)
          local old_role, old_joined, r, d, old_name = string.match(stored, '^(%d+) (%-?%d+) (%d+) (%d+) (.*)$')
          if not old_role then return nil end
          if tonumber(r) > tonumber(read) then read = r end
          if tonumber(d) > tonumber(delivered) then delivered = d end
          return (role or old_role) .. ' ' .. (joined or old_joined) .. ' ' .. read .. ' ' .. delivered .. ' ' .. (name or old_name)
        end

        -- The cursors of some members, in one reading and one writing.
        local function move_cursors(state, count)
          local users, entries = {}, {}
          for n = 1, count do users[n] = ARGV[at + 3 * n - 1] end
          local members = state.prefix .. 'members:' .. state.name
          local stored = pcall('HMGET', members, unpack(users))
          if stored.err then return false end
          local latest = {}
          for n = 1, count do
            local entry = latest[users[n]] or stored[n]
            if entry then
              entry = moved(entry, nil, nil, ARGV[at + 3 * n], ARGV[at + 3 * n + 1], nil)
              if not entry then return false end
              latest[users[n]] = entry
              entries[#entries + 1] = users[n]
              entries[#entries + 1] = entry
            end
          end
          if #entries > 0 then call('HSET', members, unpack(entries)) end
          return true
        end

        local sizes = {m = 11, c = 13, a = 6, j = 11, d = 3, e = 3, s = 2}
        -- In a cluster there are more keys, behind those of the runs, for Redis to know of.
        local run = 0
        while at <= #ARGV do
          run = run + 1
          local key = KEYS[run]
          local epoch, count = ARGV[at], tonumber(ARGV[at + 1])
          at = at + 2
          local state = states[key] or begin(key)
          local lease = state.lease
          local is_mine = not lease.err and lease[1] == epoch and lease[2] == owner
          while count > 0 do
            place, count = place + 1, count - 1
            local kind = ARGV[at]
            local rev = tonumber(ARGV[at + 1])
            local size, updated = sizes[kind], nil
            if kind == 'r' then
              -- So many writes stand as one.
              size, place, count = 2 + 3 * rev, place + rev - 1, count - rev + 1
            end
            if state.why or state.damaged or not is_mine then
              if kind == 'r' then place = place - rev + 1 end
              for n = 1, kind == 'r' and rev or 1 do
                if n > 1 then place = place + 1 end
                if state.why then
                  refuse(state)
                elseif state.damaged then
                  refuse(state, 'damaged', 0)
                else
                  refuse(state, 'fenced', tonumber(lease[1] or 0))
                end
              end
            elseif kind == 'm' then
              local head = tonumber(ARGV[at + 2])
              if not state.exists or rev ~= state.rev + 1 or head ~= state.head + 1 then
                refuse(state, 'step', state.rev)
              else
                local added
                local log = state.prefix .. 'log:' .. state.name
                if ARGV[at + 8] == '' and ARGV[at + 9] == '0' and ARGV[at + 10] == '' then
                  added = pcall('XADD', log, ARGV[at + 2] .. '-0',
                    'r', ARGV[at + 1], 't', ARGV[at + 3], 'u', ARGV[at + 4], 'n', ARGV[at + 5], 'i', ARGV[at + 6], 'x', ARGV[at + 7])
                else
                  added = pcall('XADD', log, ARGV[at + 2] .. '-0',
                    'r', ARGV[at + 1], 't', ARGV[at + 3], 'u', ARGV[at + 4], 'n', ARGV[at + 5], 'i', ARGV[at + 6], 'x', ARGV[at + 7],
                    'm', ARGV[at + 8], 's', ARGV[at + 9], 'g', ARGV[at + 10])
                end
                if type(added) == 'table' then
                  refuse(state, 'damaged', 0)
                else
                  -- Redis drops a hundred entries at a time: there is no need to ask it each time.
                  if head % 64 == 0 then call('XTRIM', log, 'MAXLEN', '~', ARGV[2]) end
                  state.head, state.head_text = head, ARGV[at + 2]
                  updated = ARGV[at + 3]
                end
              end
            elseif kind == 'r' then
              if not move_cursors(state, rev) then
                for n = 1, rev do
                  place = place - rev + n
                  refuse(state, 'damaged', 0)
                  place = place + rev - n
                end
              end
            elseif kind == 'c' then
              if state.exists or rev ~= 1 then
                refuse(state, 'step', state.rev)
              elseif not list(at + 10) then
                refuse(state, 'damaged', 0)
              else
                call('HSET', key, 'v', '1', 'access', ARGV[at + 2], 'title', ARGV[at + 3], 'created', ARGV[at + 5], 'head', '0')
                if ARGV[at + 4] ~= '' then call('HSET', key, 'creator', ARGV[at + 4]) end
                if ARGV[at + 7] ~= '' then call('HSET', key, 'ended', ARGV[at + 7]) end
                if ARGV[at + 8] ~= '0' then call('HSET', key, 'kind', ARGV[at + 8]) end
                if ARGV[at + 9] ~= '' then call('HSET', key, 'details', ARGV[at + 9]) end
                state.exists = true
                updated = ARGV[at + 6]
              end
            elseif not state.exists or rev ~= state.rev + 1 then
              refuse(state, 'step', state.rev)
            elseif kind == 'a' then
              local number = tonumber(ARGV[at + 2])
              if number < 1 or number > state.head then
                refuse(state, 'step', state.rev)
              else
                local is_kept = number > state.head - history
                local amend = state.prefix .. 'amend:' .. state.name
                local stored = is_kept and pcall('HGET', amend, ARGV[at + 2])
                if type(stored) == 'table' then
                  refuse(state, 'damaged', 0)
                else
                  -- Nothing that is deleted gets words again; the change counts all the same.
                  if is_kept and not (stored and string.find(stored, '^%d+ 2 ')) then
                    call('HSET', amend, ARGV[at + 2], ARGV[at + 1] .. ' ' .. ARGV[at + 4] .. ' ' .. ARGV[at + 5])
                    state.amended = ARGV[at + 1]
                    -- What belongs to messages that are gone goes now and then.
                    if call('HLEN', amend) % 64 == 0 then
                      for _, old in ipairs(call('HKEYS', amend)) do
                        if tonumber(old) <= state.head - history then call('HDEL', amend, old) end
                      end
                    end
                  end
                  updated = ARGV[at + 3]
                end
              end
            elseif kind == 'j' then
              local members = state.prefix .. 'members:' .. state.name
              local stored = pcall('HGET', members, ARGV[at + 2])
              local entry
              if not stored then
                entry = ARGV[at + 3] .. ' ' .. ARGV[at + 4] .. ' ' .. ARGV[at + 5] .. ' ' .. ARGV[at + 6] .. ' ' .. ARGV[at + 7]
              elseif type(stored) ~= 'table' then
                entry = moved(stored, ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7])
              end
              if entry and list(at + 8) then
                call('HSET', members, ARGV[at + 2], entry)
                updated = ''
              else
                refuse(state, 'damaged', 0)
              end
            elseif kind == 'd' then
              if type(pcall('HDEL', state.prefix .. 'members:' .. state.name, ARGV[at + 2])) == 'table' then
                refuse(state, 'damaged', 0)
              else
                updated = ''
              end
            elseif kind == 's' then
              updated = ''
            elseif kind == 'e' then
              call('HSETNX', key, 'ended', ARGV[at + 2])
              updated = ARGV[at + 2]
            end
            if updated then
              state.rev, state.rev_text = rev, ARGV[at + 1]
              if updated ~= '' then state.updated = updated end
            end
            at = at + size
          end
        end

        for _, key in ipairs(order) do
          local state = states[key]
          if state.rev_text then
            if state.head_text and state.updated and not state.amended then
              call('HSET', key, 'rev', state.rev_text, 'head', state.head_text, 'updated', state.updated)
            else
              local fields = {'rev', state.rev_text}
              if state.head_text then fields[3], fields[4] = 'head', state.head_text end
              if state.updated then fields[#fields + 1] = 'updated'; fields[#fields + 1] = state.updated end
              if state.amended then fields[#fields + 1] = 'arev'; fields[#fields + 1] = state.amended end
              call('HSET', key, unpack(fields))
            end
          end
        end
        if #refusals > 0 then return refusals end
        -- Whoever may not publish has stored it all the same.
        for notice = 4, 2 + 2 * ARGV[3], 2 do pcall('PUBLISH', ARGV[notice], ARGV[notice + 1]) end
        return 0
        """

    /// What the scripts that read begin with: `head`, `rev`, `arev` (the last amendment's revision) and `oldest` of a conversation, and
    /// the names of its keys. Answers nil where there is no such conversation.
    static let look = """
        #!lua flags=no-writes
        local key, history = KEYS[1], tonumber(ARGV[1])
        local cut = string.find(key, ':conv:', 1, true)
        local prefix, name = string.sub(key, 1, cut), string.sub(key, cut + 6)
        local log = prefix .. 'log:' .. name
        local found = redis.pcall('HMGET', key, 'v', 'rev', 'head', 'arev')
        if found.err then return redis.error_reply('DAMAGED ' .. key .. ' is no hash') end
        if not found[1] then
          if redis.call('EXISTS', key) == 1 then return redis.error_reply('DAMAGED ' .. key .. ' has no field v') end
          return false
        end
        if found[1] ~= '1' then return redis.error_reply('DAMAGED ' .. key .. ' has the format ' .. found[1] .. ', which is not ours') end
        local rev, head, arev = tonumber(found[2]), tonumber(found[3]), tonumber(found[4] or '0')
        if not rev or not head or not arev then return redis.error_reply('DAMAGED ' .. key .. ' has no numbers in rev, head or arev') end
        local first = redis.pcall('XRANGE', log, '-', '+', 'COUNT', 1)
        if first.err then return redis.error_reply('DAMAGED ' .. log .. ' is no stream') end
        local oldest = head + 1
        if first[1] then oldest = tonumber(string.match(first[1][1], '^(%d+)%-')) end
        if history > 0 and oldest < head - history + 1 then oldest = head - history + 1 end
        local function field(entry, wanted)
          local fields = entry[2]
          for place = 1, #fields, 2 do if fields[place] == wanted then return fields[place + 1] end end
          return ''
        end

        """

    /// Everything but the messages. KEYS: the hash. ARGV: how many messages are kept. Answers the hash, the members, and the oldest number.
    static let load =
        look + """
            local members = redis.pcall('HGETALL', prefix .. 'members:' .. name)
            if members.err then return redis.error_reply('DAMAGED ' .. prefix .. 'members:' .. name .. ' is no hash') end
            return {redis.call('HGETALL', key), members, oldest}
            """

    /// Messages with their amendments. KEYS: the hash. ARGV: how many messages are kept; `newest`, `before` or `after`, and its number;
    /// the limit; since which revision amended ones below the page are wanted, or -1.
    ///
    /// Answers head, oldest, revision, the stream's entries, the amendments of those (number, amendment, …), and amended entries below.
    static let page =
        look + """
            local mode, number, limit, since = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
            local low, high = 1, 0
            if limit > 0 and oldest <= head then
              if mode == 'newest' then
                low, high = math.max(oldest, head - math.min(limit, head) + 1), head
              elseif mode == 'before' then
                if number > oldest then
                  local stop = math.min(number, head + 1)
                  low, high = math.max(oldest, stop - math.min(limit, stop)), stop - 1
                end
              elseif number < head then
                low = math.max(number + 1, oldest)
                high = low + math.min(limit, head - low + 1) - 1
              end
            end
            local entries, overlays, below = {}, {}, {}
            if low <= high then
              entries = redis.call('XRANGE', log, string.format('%.0f', low), string.format('%.0f', high))
            end
            local amend = prefix .. 'amend:' .. name
            if arev > 0 and #entries > 0 then
              for from = 1, #entries, 500 do
                local ids = {}
                for place = from, math.min(from + 499, #entries) do ids[#ids + 1] = string.match(entries[place][1], '^%d+') end
                local values = redis.pcall('HMGET', amend, unpack(ids))
                if values.err then return redis.error_reply('DAMAGED ' .. amend .. ' is no hash') end
                for place = 1, #ids do
                  if values[place] then
                    overlays[#overlays + 1] = ids[place]
                    overlays[#overlays + 1] = values[place]
                  end
                end
              end
            end
            if since >= 0 and arev > since then
              local all = redis.pcall('HGETALL', amend)
              if all.err then return redis.error_reply('DAMAGED ' .. amend .. ' is no hash') end
              for place = 1, #all, 2 do
                local amended = tonumber(all[place])
                if amended >= oldest and amended <= number and tonumber(string.match(all[place + 1], '^%d+')) > since then
                  local entry = redis.call('XRANGE', log, all[place], all[place])[1]
                  if entry then
                    below[#below + 1] = entry
                    overlays[#overlays + 1] = all[place]
                    overlays[#overlays + 1] = all[place + 1]
                  end
                end
              end
            end
            return {head, oldest, rev, entries, overlays, below}
            """

    /// Who wrote the newest messages. KEYS: the hash. ARGV: how many messages are kept, and how many are wanted.
    ///
    /// Answers number, author, client id and time of each, one behind the other, oldest first.
    static let recent =
        look + """
            local found = {}
            local low = math.max(oldest, head - tonumber(ARGV[2]) + 1)
            while low <= head do
              local entries = redis.call('XRANGE', log, string.format('%.0f', low), '+', 'COUNT', 256)
              if #entries == 0 then break end
              for _, entry in ipairs(entries) do
                found[#found + 1] = string.match(entry[1], '^%d+')
                found[#found + 1] = field(entry, 'u')
                found[#found + 1] = field(entry, 'i')
                found[#found + 1] = field(entry, 't')
              end
              low = tonumber(found[#found - 3]) + 1
            end
            return found
            """

    /// How many messages above a number others wrote. KEYS: the hash. ARGV: how many messages are kept, the number, the user.
    static let unread =
        look + """
            local low, count = math.max(oldest, tonumber(ARGV[2]) + 1), 0
            while low <= head do
              local entries = redis.call('XRANGE', log, string.format('%.0f', low), '+', 'COUNT', 256)
              if #entries == 0 then break end
              for _, entry in ipairs(entries) do
                if field(entry, 'u') ~= ARGV[3] then count = count + 1 end
              end
              low = tonumber(string.match(entries[#entries][1], '^%d+')) + 1
            end
            return count
            """
}

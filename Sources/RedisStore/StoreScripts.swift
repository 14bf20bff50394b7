/// What Redis does for the store, each in one step: scripts, because a check and the write that hangs on it must not be parted.
///
/// Each gets the key of a conversation's hash as a key, and makes the names of the conversation's other keys from it: they have the same
/// hash tag, and so the same slot (`StoreKeys`). Redis Cluster is told of the others as well, behind it, so that it puts a script off
/// while a slot moves and has them on two sides. Commands are called so that an
/// error comes back as a value: a script that failed half-way would keep what it had written.
enum StoreScripts {
    /// Names an owner of a shard, under the next epoch, which is the answer and stands before the owner's name. KEYS: the lease. ARGV: the
    /// owner, and the number of the view under which it claims. Where the shard was claimed under a later one, nothing is done, and that one
    /// is the answer, in an array.
    static let claim = """
        #!lua
        local view = redis.call('HGET', KEYS[1], 'view')
        if view and tonumber(view) > tonumber(ARGV[2]) then return {tonumber(view)} end
        local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
        redis.call('HSET', KEYS[1], 'owner', string.format('%.0f', epoch) .. ' ' .. ARGV[1], 'view', ARGV[2])
        return epoch
        """

    /// The part of `write` for what is rarer than a message that can be appended: `count` cursors, one write of another kind, or a message that
    /// does not follow what there is. Answers why it is refused, if it is, and the number that belongs to that.
    private static let change = """
        function(kind, count)
          local members = prefix .. 'members:' .. name
          local rev, head, updated = string.match(state or '1 0 0 0', '^1 (%d+) (%d+) (%-?%d+)$')
          if not rev then return 'damaged', 0 end

          -- Puts a conversation into a list, where the command at this place names one; false where that cannot be done. A line never
          -- moves back.
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

          if kind == 'r' then
            -- In one reading and one writing.
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

          -- A message names what it follows, which is no number: it is always refused. A conversation is made once, and before all else.
          if tonumber(ARGV[at + 1]) ~= rev + 1 or (kind == 'c') == (state ~= nil) then return 'step', tonumber(rev) end
          if kind == 'c' then
            if call('EXISTS', key) == 1 or not list(at + 10) then return 'damaged', 0 end
            call('HSET', key, 'access', ARGV[at + 2], 'title', ARGV[at + 3], 'created', ARGV[at + 5])
            if ARGV[at + 4] ~= '' then call('HSET', key, 'creator', ARGV[at + 4]) end
            if ARGV[at + 7] ~= '' then call('HSET', key, 'ended', ARGV[at + 7]) end
            if ARGV[at + 8] ~= '0' then call('HSET', key, 'kind', ARGV[at + 8]) end
            if ARGV[at + 9] ~= '' then call('HSET', key, 'details', ARGV[at + 9]) end
            updated = ARGV[at + 6]
          elseif kind == 'a' then
            local number = tonumber(ARGV[at + 2])
            if number < 1 or number > tonumber(head) then return 'step', tonumber(rev) end
            local amend = prefix .. 'amend:' .. name
            local is_kept = number > head - history
            local stored = is_kept and pcall('HGET', amend, ARGV[at + 2])
            if type(stored) == 'table' then return 'damaged', 0 end
            -- Nothing that is deleted gets words again; the change counts all the same.
            if is_kept and not (stored and string.find(stored, '^%d+ 2 ')) then
              call('HSET', amend, ARGV[at + 2], ARGV[at + 1] .. ' ' .. ARGV[at + 4] .. ' ' .. ARGV[at + 5])
              amended = ARGV[at + 1]
              -- What belongs to messages that are gone goes now and then.
              if call('HLEN', amend) % 64 == 0 then
                for _, old in ipairs(call('HKEYS', amend)) do
                  if tonumber(old) <= head - history then call('HDEL', amend, old) end
                end
              end
            end
            updated = ARGV[at + 3]
          elseif kind == 'j' then
            local stored = pcall('HGET', members, ARGV[at + 2])
            local entry
            if not stored then
              entry = ARGV[at + 3] .. ' ' .. ARGV[at + 4] .. ' ' .. ARGV[at + 5] .. ' ' .. ARGV[at + 6] .. ' ' .. ARGV[at + 7]
            elseif type(stored) ~= 'table' then
              entry = moved(stored, ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7])
            end
            if not entry or not list(at + 8) then return 'damaged', 0 end
            call('HSET', members, ARGV[at + 2], entry)
          elseif kind == 'd' then
            if type(pcall('HDEL', members, ARGV[at + 2])) == 'table' then return 'damaged', 0 end
          elseif kind == 'e' then
            call('HSETNX', key, 'ended', ARGV[at + 2])
            updated = ARGV[at + 2]
          end
          state, has_moved = '1 ' .. ARGV[at + 1] .. ' ' .. head .. ' ' .. updated, true
        end
        """

    /// Writes a batch. KEYS: for each run of writes of one conversation its hash, and in a cluster the other keys. ARGV: the owner, how many
    /// messages are kept, the number of notices with channel and payload of each, and for each run the epoch, the number of writes, and the
    /// writes (`ScriptArguments` says how). In Redis Cluster the writes name no lists, which lie in other slots and have been written before.
    ///
    /// Answers 0 when everything is stored, and has published the notices then; else three values for each write that was refused: its place,
    /// why, and the number that belongs to it. What a conversation is stored up to is read once and written once for a run. Most runs are a
    /// message, which has no table or function made for it.
    static let write = """
        #!lua
        local call, pcall = redis.call, redis.pcall
        local owner, history, at, last = ARGV[1], tonumber(ARGV[2]), 4 + 2 * ARGV[3], #ARGV
        local refusals, reasons, run, place = {}, {}, 0, 0
        -- Of a run: its conversation, how far that is (format, revision, newest number and last change; nil: there is none), and since which
        -- revision what was amended.
        local key, prefix, name, state, has_moved, amended, change

        -- In a cluster there are more keys, behind those of the runs, for Redis to know of.
        while at <= last do
          run = run + 1
          key = KEYS[run]
          local epoch, count = ARGV[at], tonumber(ARGV[at + 1])
          at = at + 2
          local cut = string.find(key, ':conv:', 1, true)
          prefix, name = string.sub(key, 1, cut), string.sub(key, cut + 6)
          local lease = pcall('HGET', prefix .. 'lease', 'owner')
          local stored, why, number = pcall('HGET', key, 'at'), nil, nil
          state, has_moved, amended = stored or nil, false, nil
          if reasons[key] then
            -- Nothing of a conversation is written behind what was refused.
            why, number = unpack(reasons[key])
          elseif type(lease) == 'table' or type(stored) == 'table' then
            why, number = 'damaged', 0
          elseif lease ~= epoch .. ' ' .. owner then
            why, number = 'fenced', tonumber(string.match(lease or '', '^%d+') or 0)
          end

          while count > 0 do
            local kind, writes = ARGV[at], 1
            local is_message = kind == 'm' or kind == 't'
            -- So many writes stand as one.
            if kind == 'r' then writes = tonumber(ARGV[at + 1]) end
            if is_message and not why and state and string.find(state, ARGV[at + 1], 1, true) == 1 then
              local log = prefix .. 'log:' .. name
              if type(pcall('XADD', log, ARGV[at + 3], 'm', ARGV[at + 4])) == 'table' then
                why, number = 'damaged', 0
              else
                if kind == 't' then call('XTRIM', log, 'MAXLEN', '~', history) end
                state, has_moved = ARGV[at + 2], true
              end
            elseif not why then
              -- To make a function costs Redis a tenth of what a message costs it.
              change = change or \(change)
              why, number = change(kind, writes)
            end
            if why then
              for refused = place, place + writes - 1 do
                refusals[#refusals + 1] = refused
                refusals[#refusals + 1] = why
                refusals[#refusals + 1] = number
              end
            end
            place, count = place + writes, count - writes
            if is_message then
              at = at + 5
            elseif kind == 'r' then
              at = at + 2 + 3 * writes
            else
              at = at + ({c = 13, a = 6, j = 11, d = 3, e = 3, s = 2})[kind]
            end
          end

          if why then reasons[key] = {why, number} end
          if has_moved then call('HSET', key, 'at', state) end
          if amended then call('HSET', key, 'arev', amended) end
        end
        if #refusals > 0 then return refusals end
        -- Whoever may not publish has stored it all the same.
        for notice = 4, 2 + 2 * ARGV[3], 2 do pcall('PUBLISH', ARGV[notice], ARGV[notice + 1]) end
        return 0
        """

    /// What the scripts that read begin with: `head`, `rev`, `arev` (the last amendment's revision) and `oldest` of a conversation, and
    /// the names of its keys. Answers nil where there is no such conversation.
    static let readPrelude = """
        #!lua flags=no-writes
        local key, history = KEYS[1], tonumber(ARGV[1])
        local cut = string.find(key, ':conv:', 1, true)
        local prefix, name = string.sub(key, 1, cut), string.sub(key, cut + 6)
        local log = prefix .. 'log:' .. name
        local found = redis.pcall('HMGET', key, 'at', 'arev')
        if found.err then return redis.error_reply('DAMAGED ' .. key .. ' is no hash') end
        if not found[1] then
          if redis.call('EXISTS', key) == 1 then return redis.error_reply('DAMAGED ' .. key .. ' has no field at') end
          return false
        end
        local format, rest = string.match(found[1], '^(%d+)(.*)$')
        if format and format ~= '1' then
          return redis.error_reply('DAMAGED ' .. key .. ' has the format ' .. format .. ', which is not ours')
        end
        local rev, head = string.match(rest or '', '^ (%d+) (%d+) %-?%d+$')
        rev, head = tonumber(rev), tonumber(head)
        local arev = tonumber(found[2] or '0')
        if not rev or not head or not arev then return redis.error_reply('DAMAGED ' .. key .. ' has no numbers in at or arev') end
        local first = redis.pcall('XRANGE', log, '-', '+', 'COUNT', 1)
        if first.err then return redis.error_reply('DAMAGED ' .. log .. ' is no stream') end
        local oldest = head + 1
        if first[1] then oldest = tonumber(string.match(first[1][1], '^(%d+)%-')) end
        if history > 0 and oldest < head - history + 1 then oldest = head - history + 1 end
        -- The author, the client id and the time of an entry, as `StoredMessage` has them; all empty where it is none of ours.
        local function origin(entry)
          local value = entry[2][2]
          local time, user, name, client, start = string.match(value, '^%d+ (%-?%d+) %d+ (%d+) (%d+) (%d+) %d+ %d+ ()')
          if not time then return '', '', '' end
          local id = start + user + name
          return string.sub(value, start, start + user - 1), string.sub(value, id, id + client - 1), time
        end

        """

    /// Everything but the messages. KEYS: the hash. ARGV: how many messages are kept. Answers the hash, the members, and the oldest number.
    static let load =
        readPrelude + """
            local members = redis.pcall('HGETALL', prefix .. 'members:' .. name)
            if members.err then return redis.error_reply('DAMAGED ' .. prefix .. 'members:' .. name .. ' is no hash') end
            return {redis.call('HGETALL', key), members, oldest}
            """

    /// Messages with their amendments. KEYS: the hash. ARGV: how many messages are kept; `newest`, `before` or `after`, and its number;
    /// the limit; since which revision amended ones below the page are wanted, or -1.
    ///
    /// Answers head, oldest, revision, the stream's entries, the amendments of those (number, amendment, …), and amended entries below.
    static let page =
        readPrelude + """
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
              if #entries ~= high - low + 1 then
                local what = low == high and 'message ' .. string.format('%.0f', low)
                  or string.format('%d of the messages %.0f to %.0f', high - low + 1 - #entries, low, high)
                return redis.error_reply('DAMAGED ' .. log .. ' lacks ' .. what)
              end
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

    /// Messages that were amended since a revision, the first of them in the order of their amendments. KEYS: the hash. ARGV: how many
    /// messages are kept, up to which number they are wanted, since which revision, and how many.
    ///
    /// Answers as `page` does, with nothing but the amended entries and their amendments.
    static let amended =
        readPrelude + """
            local through, since, limit = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
            local found, overlays, below = {}, {}, {}
            if arev > since and limit > 0 then
              local amend = prefix .. 'amend:' .. name
              local all = redis.pcall('HGETALL', amend)
              if all.err then return redis.error_reply('DAMAGED ' .. amend .. ' is no hash') end
              for place = 1, #all, 2 do
                local amended, revision = tonumber(all[place]), tonumber(string.match(all[place + 1], '^%d+'))
                if amended >= oldest and amended <= through and revision > since then
                  found[#found + 1] = {revision, all[place], all[place + 1]}
                end
              end
              table.sort(found, function(one, other) return one[1] < other[1] end)
              for place = 1, math.min(limit, #found) do
                local number, value = found[place][2], found[place][3]
                local entry = redis.call('XRANGE', log, number, number)[1]
                if not entry then return redis.error_reply('DAMAGED ' .. log .. ' lacks message ' .. number) end
                below[#below + 1] = entry
                overlays[#overlays + 1] = number
                overlays[#overlays + 1] = value
              end
            end
            return {head, oldest, rev, {}, overlays, below}
            """

    /// Who wrote the newest messages. KEYS: the hash. ARGV: how many messages are kept, and how many are wanted.
    ///
    /// Answers number, author, client id and time of each, one behind the other, oldest first.
    static let recent =
        readPrelude + """
            local found = {}
            local low = math.max(oldest, head - tonumber(ARGV[2]) + 1)
            while low <= head do
              local entries = redis.call('XRANGE', log, string.format('%.0f', low), '+', 'COUNT', 256)
              if #entries == 0 then break end
              for _, entry in ipairs(entries) do
                local author, client, time = origin(entry)
                found[#found + 1] = string.match(entry[1], '^%d+')
                found[#found + 1] = author
                found[#found + 1] = client
                found[#found + 1] = time
              end
              low = tonumber(found[#found - 3]) + 1
            end
            return found
            """

    /// A function for scripts that begin with `look`: how many messages above a number others than a user wrote that are not deleted, counted
    /// up to a limit; an error reply in place of the number where the amendments are none.
    static let unreadFunction = """
        local function unread_above(number, user, limit)
          local low, count, amend = math.max(oldest, number + 1), 0, prefix .. 'amend:' .. name
          while low <= head and count < limit do
            local entries = redis.call('XRANGE', log, string.format('%.0f', low), '+', 'COUNT', math.min(256, limit))
            if #entries == 0 then break end
            local amendments = {}
            if arev > 0 then
              local ids = {}
              for place = 1, #entries do ids[place] = string.match(entries[place][1], '^%d+') end
              amendments = redis.pcall('HMGET', amend, unpack(ids))
              if amendments.err then return redis.error_reply('DAMAGED ' .. amend .. ' is no hash') end
            end
            for place, entry in ipairs(entries) do
              local is_deleted = string.find(entry[2][2], '^%d+ %-?%d+ 2 ')
              if amendments[place] then is_deleted = string.find(amendments[place], '^%d+ 2 ') end
              if count < limit and not is_deleted and origin(entry) ~= user then count = count + 1 end
            end
            low = tonumber(string.match(entries[#entries][1], '^%d+')) + 1
          end
          return count
        end

        """

    /// How many messages above a number others wrote that are not deleted. KEYS: the hash. ARGV: how many messages are kept, the number, the
    /// user.
    static let unread =
        readPrelude + unreadFunction + """
            return unread_above(tonumber(ARGV[2]), ARGV[3], math.huge)
            """
}

/// The scripts that read pages of messages.
extension StoreScripts {
    /// The end of the scripts that read messages. It reads these variables:
    ///
    /// - `entries`, `ids`: the stream's entries of the page, and their numbers.
    /// - `low`, `high`: the lowest and the highest root whose thread is wanted.
    /// - `is_shown`: a function that tells whether the page contains a message.
    /// - `has_more`: whether the range has more messages.
    /// - `below`, `below_ids`: the amended entries below the page, and their numbers.
    /// - `has_references`: whether threads, and messages to which the page replies, are wanted.
    ///
    /// Returns head, oldest, revision, the stream's entries, the amendments of all messages that it
    /// returns (number, amendment, …), the amended entries below, the entries to which the page
    /// replies, the threads (the entry of the last reply, the number of replies, …), and 1 if the
    /// range has more messages.
    private static let pageEnd = """
        local overlays, targets, threads = {}, {}, {}
        for _, entry in ipairs(entries) do
          local to = tonumber(string.match(entry[2][4] or '', '^(%d+) ') or 0)
          if has_references and to >= oldest and to <= head and not is_shown(to) then
            local id = string.format('%.0f', to)
            -- Several messages may reply to one.
            targets[id] = targets[id] or redis.call('XRANGE', log, id, id)[1]
            if not targets[id] then
              return redis.error_reply('DAMAGED ' .. log .. ' lacks message ' .. id)
            end
          end
        end
        for _, id in ipairs(below_ids) do ids[#ids + 1] = id end
        local replied = {}
        for id, entry in pairs(targets) do
          replied[#replied + 1] = entry
          ids[#ids + 1] = id
        end
        if arev > 0 and #ids > 0 then
          local damage = collect(prefix .. 'amend:' .. name, ids, overlays)
          if damage then return damage end
        end
        local index = prefix .. 'threads:' .. name
        if has_references and low <= high and redis.call('EXISTS', index) == 1 then
          local from, to = string.format('[%016x', low), string.format('(%016x', high + 1)
          while true do
            local found = redis.pcall('ZRANGEBYLEX', index, from, to, 'LIMIT', 0, 1)
            if found.err then
              return redis.error_reply('DAMAGED ' .. index .. ' is not a sorted set')
            end
            if not found[1] then break end
            local root = string.sub(found[1], 1, 16)
            local first, behind = '[' .. root .. ':', '(' .. root .. ';'
            local last = redis.call('ZREVRANGEBYLEX', index, behind, first, 'LIMIT', 0, 1)[1]
            if not last then
              return redis.error_reply('DAMAGED ' .. index .. ' has the malformed entry '
                .. found[1])
            end
            threads[#threads + 1] = last
            threads[#threads + 1] = redis.call('ZLEXCOUNT', index, first, behind)
            from = '[' .. root .. ';'
          end
        end
        return {head, oldest, rev, entries, overlays, below, replied, threads,
          has_more and 1 or 0}
        """

    /// A function for scripts that begin with `readPrelude`.
    private static let sizeFunction = """
        -- The bytes that a stream entry, and the text that replaces its own, count in a page.
        local function size(entry, id)
          local changed = arev > 0 and redis.pcall('HSTRLEN', prefix .. 'amend:' .. name, id)
          -- A hash of another type is reported when its values are read.
          if type(changed) ~= 'number' then changed = 0 end
          return #entry[2][2] + #(entry[2][4] or '') + changed
        end

        """

    /// A function for scripts that begin with `readPrelude`. It reads the messages between two
    /// numbers, and returns them and their numbers, or an error reply if one of them is missing.
    static let rangeFunction = """
        local function read(low, high)
          if low > high then return {}, {} end
          local entries, ids =
            redis.call('XRANGE', log, string.format('%.0f', low), string.format('%.0f', high)), {}
          if #entries ~= high - low + 1 then
            local what = low == high and 'message ' .. string.format('%.0f', low)
              or string.format('%d of the messages %.0f to %.0f',
                high - low + 1 - #entries, low, high)
            return redis.error_reply('DAMAGED ' .. log .. ' lacks ' .. what)
          end
          for index = 1, #entries do ids[index] = string.match(entries[index][1], '^%d+') end
          return entries, ids
        end

        """

    /// A function for scripts with `sizeFunction` and `rangeFunction`. It reads messages in steps
    /// from one end of a range, up to a number of bytes, and also returns the numbers between which
    /// they lie. It reads at most one step more than it returns.
    private static let readPageFunction = """
        local function read_page(low, high, is_up, bytes)
          local step, found, names, room = 32, {}, {}, bytes
          if bytes >= 2 ^ 52 then step = high - low + 1 end
          local from, to = low, high
          while from <= to and room > 0 do
            local first = is_up and from or math.max(from, to - step + 1)
            local last = is_up and math.min(to, from + step - 1) or to
            local entries, ids = read(first, last)
            if entries.err then return entries end
            for index = 1, #entries do
              local position = is_up and index or #entries + 1 - index
              if room <= 0 then break end
              found[#found + 1], names[#names + 1] = entries[position], ids[position]
              room = room - size(entries[position], ids[position])
            end
            if is_up then from = last + 1 else to = first - 1 end
          end
          if is_up then return found, names, low, low + #found - 1 end
          local entries, ids = {}, {}
          for index = #found, 1, -1 do
            entries[#entries + 1], ids[#ids + 1] = found[index], names[index]
          end
          return entries, ids, high - #found + 1, high
        end

        """

    /// A function for scripts that begin with `readPrelude`. It returns the amendments of retained
    /// messages up to one, {revision, number, value} each, or an error reply.
    private static let amendedSinceFunction = """
        local function amended_since(since, through)
          local amend = prefix .. 'amend:' .. name
          local all = redis.pcall('HGETALL', amend)
          if all.err then return redis.error_reply('DAMAGED ' .. amend .. ' is not a hash') end
          local found = {}
          for index = 1, #all, 2 do
            local amended = tonumber(all[index])
            local revision = tonumber(string.match(all[index + 1], '^%d+'))
            if amended >= oldest and amended <= through and revision > since then
              found[#found + 1] = {revision, all[index], all[index + 1]}
            end
          end
          return found
        end

        """

    /// Messages with their amendments. KEYS: the hash. ARGV: the history limit; `newest`, `before`
    /// or `after`, and a sequence number; the limit of messages and that of bytes; the revision
    /// since which amended messages below the page are wanted, or -1.
    ///
    /// Returns what `pageEnd` says.
    static let page =
        readPrelude + sizeFunction + rangeFunction + readPageFunction + amendedSinceFunction + """
            local mode, number = ARGV[2], tonumber(ARGV[3])
            local limit, bytes, since = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
            local low, high, is_up = 1, 0, mode == 'after'
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
            local below, below_ids = {}, {}
            local entries, ids, has_more = {}, {}, false
            if low <= high then
              entries, ids, low, high = read_page(low, high, is_up, bytes)
              if entries.err then return entries end
              if is_up then has_more = high < head else has_more = low > oldest end
            end
            local function is_shown(to) return to >= low and to <= high end
            -- Changes come without what they refer to.
            local has_references = since < 0
            if since >= 0 and arev > since then
              local found = amended_since(since, number)
              if found.err then return found end
              for _, amendment in ipairs(found) do
                local id = amendment[2]
                local entry = redis.call('XRANGE', log, id, id)[1]
                if entry then
                  below[#below + 1] = entry
                  below_ids[#below_ids + 1] = id
                end
              end
            end

            """ + pageEnd

    /// A thread: its root, if it is retained, and the replies. KEYS: the hash. ARGV: the history
    /// limit; the root; then the same as for `page`, without a revision.
    ///
    /// Returns what `pageEnd` says.
    static let thread =
        readPrelude + sizeFunction + """
            local root, mode, number = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
            local limit, bytes = tonumber(ARGV[5]), tonumber(ARGV[6])
            local entries, below, ids, below_ids, shown = {}, {}, {}, {}, {}
            local low, high, has_references, has_more = 1, 0, true, false
            local function is_shown(to) return shown[to] end
            if limit > 0 and root <= head then
              local index = prefix .. 'threads:' .. name
              local first, last = math.max(root + 1, oldest), head
              local is_up, has_root, found = mode == 'after', root >= oldest, {}
              if mode == 'before' then
                last, has_root = math.min(last, number - 1), has_root and root < number
              elseif is_up then
                first, has_root = math.max(first, number + 1), has_root and root > number
              end
              -- One more shows whether there are more.
              if first <= last then
                local from = string.format('[%016x:%016x', root, first)
                local to = string.format('[%016x:%016x', root, last)
                if is_up then
                  found = redis.pcall('ZRANGEBYLEX', index, from, to, 'LIMIT', 0, limit + 1)
                else
                  found = redis.pcall('ZREVRANGEBYLEX', index, to, from, 'LIMIT', 0, limit + 1)
                end
                if found.err then
                  return redis.error_reply('DAMAGED ' .. index .. ' is not a sorted set')
                end
              end
              -- From the end at which the page begins.
              local wanted = {}
              if is_up and has_root then wanted[1] = string.format('%.0f', root) end
              for _, entry in ipairs(found) do
                local reply = tonumber(string.match(entry, '^%x+:(%x+)$') or '', 16)
                if not reply then
                  return redis.error_reply('DAMAGED ' .. index .. ' has the malformed entry '
                    .. entry)
                end
                wanted[#wanted + 1] = string.format('%.0f', reply)
              end
              if not is_up and has_root then
                wanted[#wanted + 1] = string.format('%.0f', root)
              end
              for position, id in ipairs(wanted) do
                if position > limit or bytes <= 0 then
                  has_more = true
                  break
                end
                local entry = redis.call('XRANGE', log, id, id)[1]
                if not entry then
                  return redis.error_reply('DAMAGED ' .. log .. ' lacks message ' .. id)
                end
                bytes = bytes - size(entry, id)
                local place = is_up and #entries + 1 or 1
                table.insert(entries, place, entry)
                table.insert(ids, place, id)
                shown[tonumber(id)] = true
              end
              if shown[root] then low, high = root, root end
            end

            """ + pageEnd

    /// Messages amended since a revision, in the order of their amendments. KEYS: the hash. ARGV:
    /// the history limit, the highest sequence number, the revision, and the limits of messages and
    /// of bytes.
    ///
    /// Returns the same as `page`, but only the amended entries and their amendments.
    static let amended =
        readPrelude + amendedSinceFunction + """
            local through, since, limit = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
            local bytes, has_more = tonumber(ARGV[5]), 0
            local found, overlays, below = {}, {}, {}
            if arev > since and limit > 0 then
              found = amended_since(since, through)
              if found.err then return found end
              table.sort(found, function(one, other) return one[1] < other[1] end)
              for index = 1, #found do
                if index > limit or bytes <= 0 then
                  has_more = 1
                  break
                end
                local number, value = found[index][2], found[index][3]
                local entry = redis.call('XRANGE', log, number, number)[1]
                if not entry then
                  return redis.error_reply('DAMAGED ' .. log .. ' lacks message ' .. number)
                end
                bytes = bytes - #entry[2][2] - #value
                below[#below + 1] = entry
                overlays[#overlays + 1] = number
                overlays[#overlays + 1] = value
              end
            end
            return {head, oldest, rev, {}, overlays, below, {}, {}, has_more}
            """
}

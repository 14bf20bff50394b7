/// The scripts for the outbox of a shard: a stream with a consumer group for each receiver, and a
/// stream of dead letters. Both have the shard's hash tag, so the write script fills the outbox.
///
/// An event has the fields `k` (its conversation), `i` (its id), `t` (its type), `q` (when it was
/// queued), `b` (its body), and `g` (its only group) if it was a dead letter before. A dead letter
/// also has `n` (attempts), `r` (reason) and `d` (when it was given up).
enum OutboxScripts {
    /// For the write script: the runs end before the events, which the last two arguments follow.
    static let skipEvents = "last = #ARGV - 2 - 7 * ARGV[#ARGV]"

    /// For the write script: adds the events of the writes that were not refused. A stream of
    /// another type cannot undo the write; the next scan reports it.
    static let append = """
        local refused = {}
        for at = 1, #refusals, 3 do refused[refusals[at]] = true end
        for at = last + 1, #ARGV - 2, 7 do
          if not refused[tonumber(ARGV[at])] then
            pcall('XADD', ARGV[at + 1], 'MAXLEN', '~', ARGV[#ARGV - 1], '*', 'k', ARGV[at + 2],
              'i', ARGV[at + 3], 't', ARGV[at + 4], 'q', ARGV[at + 5], 'b', ARGV[at + 6])
          end
        end
        """

    /// The fields of entries without their bodies: for each its position and six texts.
    private static let headers = """
        local function headers(entries)
          local list = {}
          for _, entry in ipairs(entries or {}) do
            if entry and entry[2] then
              local fields = {}
              for at = 1, #entry[2], 2 do fields[entry[2][at]] = entry[2][at + 1] end
              list[#list + 1] = {entry[1], fields.k or '', fields.i or '', fields.t or '',
                fields.q or '0', fields.g or '', fields.n or '0', fields.r or '', fields.d or '0'}
            end
          end
          return list
        end
        """

    /// KEYS: the outbox, the dead letters. Returns how many entries each has.
    static let count = """
        #!lua flags=no-writes
        return {redis.call('XLEN', KEYS[1]), redis.call('XLEN', KEYS[2])}
        """

    /// Takes a group's next events. KEYS: the outbox. ARGV: the group, the consumer, the limit, the
    /// idle time in milliseconds after which another consumer's events are taken over, whether the
    /// consumer takes its own events once more, and then behind which position.
    ///
    /// Returns an `OutboxProgress`, and the events. Events are taken over
    /// from the oldest on and only up to the first that its consumer has touched, so that no event
    /// passes an earlier one of its conversation.
    static let take = """
        #!lua
        \(headers)
        local key, group, me = KEYS[1], ARGV[1], ARGV[2]
        local limit, idle, recovers = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
        if redis.call('EXISTS', key) == 0 then return {0, {}} end
        local pending = redis.pcall('XPENDING', key, group)
        if pending.err then
          if string.find(pending.err, 'NOGROUP', 1, true) ~= 1 then
            return redis.error_reply('DAMAGED ' .. key .. ' is not a stream')
          end
          redis.call('XGROUP', 'CREATE', key, group, '0')
          pending = {0}
        end
        local has_others, has_own = false, false
        for _, consumer in ipairs(pending[4] or {}) do
          if tonumber(consumer[2]) > 0 then
            if consumer[1] == me then has_own = true else has_others = true end
          end
        end
        if has_others or recovers and has_own then
          local ids, from, is_over = {}, recovers and ARGV[6] or '-', false
          repeat
            local page = redis.call('XPENDING', key, group, from, '+', 500)
            for _, entry in ipairs(page) do
              if not is_over and (recovers or entry[2] ~= me) then
                if entry[2] ~= me and entry[3] < idle or #ids >= limit then
                  is_over = true
                else
                  ids[#ids + 1] = entry[1]
                end
              end
            end
            if #page < 500 then is_over = true end
            if #page > 0 then from = '(' .. page[#page][1] end
          until is_over
          if #ids > 0 then
            return {2, headers(redis.call('XCLAIM', key, group, me, 0, unpack(ids)))}
          end
          if has_others then return {1, {}} end
        end
        local read = redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', limit, 'STREAMS', key,
          '>')
        local entries = headers(read and read[1][2])
        return {#entries < limit and 0 or 2, entries}
        """

    /// Whether a consumer has an event of a group.
    private static let isMine = """
        local function is_mine(key, group, me, id)
          local entry = redis.pcall('XPENDING', key, group, id, id, 1)
          return not entry.err and entry[1] and entry[1][2] == me
        end
        """

    /// Touches a taken event and returns its fields, or nothing if it is not the consumer's any
    /// more. KEYS: the outbox. ARGV: the group, the consumer, the position.
    static let begin = """
        #!lua
        \(isMine)
        local key, group, me, id = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
        if not is_mine(key, group, me, id) then return false end
        local claimed = redis.call('XCLAIM', key, group, me, 0, id)[1]
        if not claimed or not claimed[2] then return false end
        local fields = {}
        for at = 1, #claimed[2], 2 do fields[claimed[2][at]] = claimed[2][at + 1] end
        return {fields.k or '', fields.i or '', fields.t or '', fields.q or '0', fields.b or ''}
        """

    /// Acknowledges events for a group, and removes those that no group needs any more.
    private static let finish = """
        local function finish(key, group, groups, ids)
          if redis.call('EXISTS', key) == 0 then return end
          redis.call('XACK', key, group, unpack(ids))
          local read = {}
          if #groups > 1 then
            for _, info in ipairs(redis.call('XINFO', 'GROUPS', key)) do
              local fields = {}
              for at = 1, #info, 2 do fields[info[at]] = info[at + 1] end
              read[fields['name']] = fields['last-delivered-id']
            end
          end
          local function is_after(id, other)
            local a, b = string.match(id, '^(%d+)-(%d+)$')
            local c, d = string.match(other, '^(%d+)-(%d+)$')
            a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
            return a > c or a == c and b > d
          end
          for _, id in ipairs(ids) do
            local is_done = true
            for _, other in ipairs(groups) do
              if other ~= group and (not read[other] or is_after(id, read[other])
                or #redis.call('XPENDING', key, other, id, id, 1) > 0) then
                is_done = false
              end
            end
            if is_done then redis.call('XDEL', key, id) end
          end
          if redis.call('XLEN', key) == 0 then redis.call('DEL', key) end
        end
        """

    /// KEYS: the outbox. ARGV: the group, the number of groups, the groups, and the positions.
    static let complete = """
        #!lua
        \(finish)
        local groups, ids = {}, {}
        for at = 3, 2 + ARGV[2] do groups[#groups + 1] = ARGV[at] end
        for at = 3 + ARGV[2], #ARGV do ids[#ids + 1] = ARGV[at] end
        finish(KEYS[1], ARGV[1], groups, ids)
        return 0
        """

    /// Moves a taken event to the dead letters. KEYS: the outbox, the dead letters. ARGV: the
    /// group, the consumer, the position, the attempts, the reason, the time, the most dead
    /// letters, and the groups.
    ///
    /// Returns the number of dead letters that were dropped.
    static let bury = """
        #!lua
        \(finish)
        \(isMine)
        local key, dead, group, id = KEYS[1], KEYS[2], ARGV[1], ARGV[3]
        if not is_mine(key, group, ARGV[2], id) then return 0 end
        local entry = redis.call('XRANGE', key, id, id)[1]
        local dropped = 0
        if entry then
          local fields = {}
          for at = 1, #entry[2], 2 do fields[entry[2][at]] = entry[2][at + 1] end
          dropped = math.max(0, redis.call('XLEN', dead) + 1 - ARGV[7])
          redis.call('XADD', dead, 'MAXLEN', ARGV[7], '*', 'k', fields.k or '',
            'i', fields.i or '', 't', fields.t or '', 'b', fields.b or '', 'g', group,
            'n', ARGV[4], 'r', ARGV[5], 'd', ARGV[6])
        end
        local groups = {}
        for at = 8, #ARGV do groups[#groups + 1] = ARGV[at] end
        finish(key, group, groups, {id})
        return dropped
        """

    /// KEYS: the dead letters. ARGV: the limit.
    static let deadLetters = """
        #!lua flags=no-writes
        \(headers)
        return headers(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1]))
        """

    /// Moves dead letters back, or drops them. KEYS: the outbox, the dead letters. ARGV: the time,
    /// or nothing to drop them; the bound of the outbox; the positions.
    static let retry = """
        #!lua
        local key, dead = KEYS[1], KEYS[2]
        for at = 3, #ARGV do
          local entry = redis.call('XRANGE', dead, ARGV[at], ARGV[at])[1]
          if entry and ARGV[1] ~= '' then
            local fields = {}
            for at = 1, #entry[2], 2 do fields[entry[2][at]] = entry[2][at + 1] end
            redis.call('XADD', key, 'MAXLEN', '~', ARGV[2], '*', 'k', fields.k or '',
              'i', fields.i or '', 't', fields.t or '', 'q', ARGV[1], 'b', fields.b or '',
              'g', fields.g or '')
          end
          redis.call('XDEL', dead, ARGV[at])
        end
        if redis.call('XLEN', dead) == 0 then redis.call('DEL', dead) end
        return 0
        """
}

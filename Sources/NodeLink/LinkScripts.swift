import Cluster
import RedisClient
import RedisStore

/// What Redis does for the cluster, each in one step.
enum LinkScripts {
    /// A node says that it lives, and asks what holds. KEYS: the view, the views, the node's own record, the holder of its name, the records
    /// of the others whom it knows. ARGV: the number and the hash of the view that it knows, its record, for how many milliseconds records are
    /// kept, the process (empty: it wants no name), and for how many milliseconds it holds its name.
    ///
    /// Answers Redis' time in milliseconds, the number that holds, the texts that the node does not know, oldest first, when each of
    /// the others beat last, and which process holds the name.
    static let heartbeat = RedisScript(
        """
        #!lua
        local time = redis.call('TIME')
        local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
        redis.call('HSET', KEYS[3], 'beat', now, 'record', ARGV[3])
        redis.call('PEXPIRE', KEYS[3], ARGV[4])
        local kept = redis.call('HMGET', KEYS[1], 'number', 'hash')
        local number, texts, beats = tonumber(kept[1] or '0'), {}, {}
        -- Without a number there may still be texts: then the key of the view is gone alone, and nodes keep it again.
        if number == 0 or number ~= tonumber(ARGV[1]) or (kept[2] or '') ~= ARGV[2] then
          local missing = number - tonumber(ARGV[1])
          -- Who knows nothing yet, or something else, needs the newest alone.
          if tonumber(ARGV[1]) == 0 or missing < 1 then missing = 1 end
          texts = redis.call('LRANGE', KEYS[2], -missing, -1)
        end
        for place = 5, #KEYS do beats[#beats + 1] = redis.call('HGET', KEYS[place], 'beat') or '' end
        local holder = redis.call('GET', KEYS[4]) or ''
        if ARGV[5] ~= '' and (holder == '' or holder == ARGV[5]) then
          holder = ARGV[5]
          redis.call('SET', KEYS[4], holder, 'PX', ARGV[6])
        end
        return {now, number, texts, beats, holder}
        """)

    /// A view takes the place of another, if that holds. KEYS: the view, the views, the events; and the record of the node that is taken for
    /// dead, or else the holder of the proposer's name. ARGV: the number that must hold, the view's number, text (empty: nobody is left) and hash, how many views are
    /// kept, the event's name, its node, how old in milliseconds the dead node's last beat must be, what operators call the node, and the
    /// process that proposes: a node joins only while its process holds its name, and gives that up when it leaves.
    ///
    /// Answers 1 when it is done, 0 when another view holds, the node lives, or another process holds the name.
    static let propose = RedisScript(
        """
        #!lua
        if (redis.call('HGET', KEYS[1], 'number') or '0') ~= ARGV[1] then return 0 end
        if ARGV[6] == 'joins' and redis.call('GET', KEYS[4]) ~= ARGV[10] then return 0 end
        if ARGV[6] == 'leaves' and redis.call('GET', KEYS[4]) == ARGV[10] then redis.call('DEL', KEYS[4]) end
        if ARGV[6] == 'dies' then
          local time = redis.call('TIME')
          local beat = redis.call('HGET', KEYS[4], 'beat')
          if beat and time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(beat) < tonumber(ARGV[8]) then return 0 end
          redis.call('DEL', KEYS[4])
        end
        redis.call('HSET', KEYS[1], 'number', ARGV[2], 'text', ARGV[3], 'hash', ARGV[4])
        if ARGV[3] == '' then
          redis.call('DEL', KEYS[2])
        else
          redis.call('RPUSH', KEYS[2], ARGV[3])
          redis.call('LTRIM', KEYS[2], -tonumber(ARGV[5]), -1)
        end
        redis.call('XADD', KEYS[3], 'MAXLEN', '~', \(eventLimit), '*',
          'event', ARGV[6], 'node', ARGV[7], 'name', ARGV[9], 'view', ARGV[2])
        return 1
        """)

    static let all = [heartbeat, propose, StreamSizeEstimator.script]
    /// So many events are kept at least; not many more.
    static let eventLimit = 10_000
    /// So many views are kept for nodes that have missed some.
    static let viewLimit = 64
    /// So long a record outlives its node's last beat: operators see for a while who was there.
    static let recordMilliseconds = 60_000
    /// So long after its last beat a node holds its name: another of that name waits until then.
    static let nameMilliseconds = Int(Membership.evictionTimeout)
}

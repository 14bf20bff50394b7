import Cluster
import RedisClient
import RedisStore

/// The atomic operations of a cluster in Redis.
enum LinkScripts {
    /// Records a heartbeat and returns the current state.
    ///
    /// KEYS: the view, the views, the node's record, the holder of its name, the source of an
    /// incomplete copy, the records of the other known nodes. ARGV: the number and the hash of the
    /// known view, the record, the lifetime of records in milliseconds, the process (empty: it does
    /// not claim the name), and the lifetime of a name's lease in milliseconds.
    ///
    /// Returns Redis' time in milliseconds, the current view number, the texts of the views that
    /// the node does not know, oldest first, the time of each other node's last heartbeat, the
    /// process that holds the name, and Redis' time in microseconds. Fails while a copy is
    /// incomplete: a node would serve a part of the conversations, and change them.
    static let heartbeat = RedisScript(
        """
        #!lua
        local copy = redis.call('GET', KEYS[5])
        if copy then
          return redis.error_reply('COPY from ' .. copy .. ' is incomplete: repeat `confab copy`')
        end
        local time = redis.call('TIME')
        local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
        redis.call('HSET', KEYS[3], 'beat', now, 'record', ARGV[3])
        redis.call('PEXPIRE', KEYS[3], ARGV[4])
        local kept = redis.call('HMGET', KEYS[1], 'number', 'hash')
        local number, texts, beats = tonumber(kept[1] or '0'), {}, {}
        -- If only the key of the view is lost, there is no number but there are texts.
        if number == 0 or number ~= tonumber(ARGV[1]) or (kept[2] or '') ~= ARGV[2] then
          local missing = number - tonumber(ARGV[1])
          -- A node without a view, or with another one, needs only the newest.
          if tonumber(ARGV[1]) == 0 or missing < 1 then missing = 1 end
          texts = redis.call('LRANGE', KEYS[2], -missing, -1)
        end
        for i = 6, #KEYS do beats[#beats + 1] = redis.call('HGET', KEYS[i], 'beat') or '' end
        local holder = redis.call('GET', KEYS[4]) or ''
        if ARGV[5] ~= '' and (holder == '' or holder == ARGV[5]) then
          holder = ARGV[5]
          redis.call('SET', KEYS[4], holder, 'PX', ARGV[6])
        end
        local micros = string.format('%.0f', time[1] * 1000000 + time[2])
        return {now, number, texts, beats, holder, micros}
        """)

    /// Replaces the current view if it has the expected number.
    ///
    /// KEYS: the view, the views, the events; the record of the evicted node, or else the holder of
    /// the proposer's name; and the source of an incomplete copy. ARGV: the expected number; the
    /// new view's number, text (empty: no node is left) and hash; the number of views to keep; the
    /// event's name and node; the minimum age in milliseconds of the evicted node's last heartbeat;
    /// the node's name; the proposing process; the event's detail (empty: the change is a step of a
    /// longer one, and no event). A node may join only while its process holds its name and no copy
    /// is incomplete. It releases the name when it leaves.
    ///
    /// Returns 1 if it was replaced, and 0 if another view is current, the node is alive, another
    /// process holds the name, or a copy is incomplete.
    static let propose = RedisScript(
        """
        #!lua
        if (redis.call('HGET', KEYS[1], 'number') or '0') ~= ARGV[1] then return 0 end
        if ARGV[6] == 'joins' and redis.call('GET', KEYS[4]) ~= ARGV[10] then return 0 end
        if ARGV[6] == 'joins' and redis.call('EXISTS', KEYS[5]) == 1 then return 0 end
        if ARGV[6] == 'leaves' and redis.call('GET', KEYS[4]) == ARGV[10] then
          redis.call('DEL', KEYS[4])
        end
        if ARGV[6] == 'dies' then
          local time = redis.call('TIME')
          local beat = redis.call('HGET', KEYS[4], 'beat')
          local now = time[1] * 1000 + math.floor(time[2] / 1000)
          if beat and now - tonumber(beat) < tonumber(ARGV[8]) then return 0 end
          redis.call('DEL', KEYS[4])
        end
        redis.call('HSET', KEYS[1], 'number', ARGV[2], 'text', ARGV[3], 'hash', ARGV[4])
        if ARGV[3] == '' then
          redis.call('DEL', KEYS[2])
        else
          redis.call('RPUSH', KEYS[2], ARGV[3])
          redis.call('LTRIM', KEYS[2], -tonumber(ARGV[5]), -1)
        end
        if ARGV[11] ~= '' then
          redis.call('XADD', KEYS[3], 'MAXLEN', '~', \(eventLimit), '*', 'event', ARGV[6],
            'node', ARGV[7], 'name', ARGV[9], 'view', ARGV[2], 'detail', ARGV[11])
        end
        return 1
        """)

    /// Records an event, unless another node has just recorded the same incident.
    ///
    /// KEYS: the time of the last recorded incident, the events. ARGV: the duration of this
    /// incident in milliseconds, and the event's names and values. An incident that overlaps with
    /// the recorded one is the same. Returns 1 if it was recorded.
    static let appendOnce = RedisScript(
        """
        #!lua
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local last = redis.call('GET', KEYS[1])
        if last and now - tonumber(last) < tonumber(ARGV[1]) then return 0 end
        redis.call('SET', KEYS[1], string.format('%.0f', now))
        redis.call('XADD', KEYS[2], 'MAXLEN', '~', \(eventLimit), '*', unpack(ARGV, 2))
        return 1
        """)

    static let all = [heartbeat, propose, appendOnce, StreamSizeEstimator.script]
    /// Nodes notice the end of a short incident at different times, up to this one.
    static let incidentMilliseconds: Int64 = 3000
    /// The number of events that are retained; Redis trims them approximately.
    static let eventLimit = 10_000
    /// The number of views that are retained for nodes that have missed some.
    static let viewLimit = 64
    /// A record outlives its node's last heartbeat by this time, so that operators still see the
    /// node.
    static let recordMilliseconds = 60_000
    /// A node holds its name for this time after its last heartbeat. Another node with the name
    /// waits.
    static let nameMilliseconds = Int(ClusterMembership.evictionTimeout)
}

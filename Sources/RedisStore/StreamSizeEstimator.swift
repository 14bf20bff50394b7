public import RedisClient

/// How much room the conversations' streams take in Redis: some keys are looked at after the other, so that no look holds Redis up.
///
/// A value: it says what is to be asked next, and is told the answers. Of many keys only some are looked at, and stand for the rest:
/// SCAN goes by hashes, so any part of the keys is as good as another.
public struct StreamSizeEstimator: Sendable {
    /// Some keys of a server. ARGV: where SCAN is to go on, how many keys, and how the names of the cluster's shards begin. Answers where to
    /// go on, how many keys there are, how many were looked at, and the bytes of the streams among them.
    public static let script = RedisScript(
        """
        #!lua flags=no-writes,allow-cross-slot-keys
        local page = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2])
        local bytes = 0
        for _, key in ipairs(page[2]) do
          if string.sub(key, 1, #ARGV[3]) == ARGV[3] and string.find(key, '}:log:', 1, true) then
            bytes = bytes + (redis.call('MEMORY', 'USAGE', key) or 0)
          end
        end
        return {page[1], redis.call('DBSIZE'), #page[2], bytes}
        """)

    private static let keysPerScan = 200
    /// So many looks in all, each of a fraction of a millisecond.
    private static let scanLimit = 100

    private let prefix: String
    private let scansPerServer: Int
    private var servers: ArraySlice<RedisSlot>
    private var cursor = "0"
    private var scanCount = 0
    /// Of the server that is being looked at.
    private var keyCount = 0.0
    private var scannedKeys = 0.0
    private var scannedBytes = 0.0
    private var finishedBytes = 0.0

    /// - Parameters:
    ///   - cluster: its name.
    ///   - servers: a slot of each, as `RedisClient.masters` has them.
    public init(of cluster: String, at servers: [RedisSlot]) {
        self.prefix = "\(cluster):{s"
        self.servers = servers[...]
        self.scansPerServer = max(1, Self.scanLimit / max(1, servers.count))
    }

    /// Where the next look is to be taken; nil: it is done.
    public var slot: RedisSlot? { self.servers.first }

    /// The bytes of all streams, as far as that can be said by now.
    public var bytes: Int { Int(self.finishedBytes + self.currentServerBytes) }

    private var currentServerBytes: Double {
        self.cursor == "0"
            ? self.scannedBytes
            : self.scannedBytes * max(1, self.keyCount / max(1, self.scannedKeys))
    }

    public func write(to command: inout RedisCommandWriter) {
        command.append(Self.script, keyCount: 0)
        command.append(text: self.cursor)
        command.append(Self.keysPerScan)
        command.append(text: self.prefix)
    }

    /// False where it is no answer to that.
    public mutating func record(_ reply: RedisReply) -> Bool {
        guard let cursor = reply[0]?.string, let keys = reply[1]?.integer,
            let seen = reply[2]?.integer, let bytes = reply[3]?.integer
        else { return false }
        self.cursor = cursor
        self.keyCount = Double(keys)
        self.scannedKeys += Double(seen)
        self.scannedBytes += Double(bytes)
        self.scanCount += 1
        guard cursor == "0" || self.scanCount >= self.scansPerServer else { return true }
        self.finishedBytes += self.currentServerBytes
        self.servers.removeFirst()
        (self.cursor, self.scanCount, self.keyCount, self.scannedKeys, self.scannedBytes) = (
            "0", 0, 0, 0, 0
        )
        return true
    }
}

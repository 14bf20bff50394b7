public import RedisClient

/// Estimates the memory that the conversations' streams use in Redis. It scans keys in small steps,
/// so that no step blocks Redis.
///
/// A value: it says what to query next and receives the replies. If there are many keys, it scans a
/// sample and extrapolates. SCAN orders keys by hash, so any part of them is representative.
public struct StreamSizeEstimator: Sendable {
    /// Scans some keys of a server.
    public static let script = RedisScript(lua: PackageResources.stream_sizes_lua)

    private static let keysPerScan = 200
    /// The maximum number of scans for all servers; each takes a fraction of a millisecond.
    private static let scanLimit = 100

    private let prefix: String
    private let scansPerServer: Int
    private var servers: ArraySlice<RedisSlot>
    private var cursor = "0"
    private var scanCount = 0
    /// The values of the server that is being scanned.
    private var keyCount = 0.0
    private var scannedKeys = 0.0
    private var scannedBytes = 0.0
    private var finishedBytes = 0.0

    /// - Parameters:
    ///   - cluster: the name of the cluster.
    ///   - servers: a slot of each, as in `RedisClient.masterSlots`.
    public init(of cluster: String, at servers: [RedisSlot]) {
        self.prefix = "\(cluster):{s"
        self.servers = servers[...]
        self.scansPerServer = max(1, Self.scanLimit / max(1, servers.count))
    }

    /// The slot of the server to scan next; nil at the end.
    public var slot: RedisSlot? { self.servers.first }

    /// The current estimate of all streams' bytes.
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

    /// - Returns: false if the reply is malformed.
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

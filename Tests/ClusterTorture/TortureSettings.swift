import TestKit

/// The settings of a torture run.
public struct TortureSettings: Sendable {
    public var seed: UInt64
    public var store = StoreMode.redis
    public var nodes = 3
    public var conversations = 8
    /// The members of each conversation; the last one only reads.
    public var members = 3
    /// The mean time between two messages of a member.
    public var messageInterval = Duration.milliseconds(150)
    public var binary = Checkout.confab
    /// The program of another version for half of the nodes; each start of a node switches the
    /// program.
    public var otherBinary: String?
    /// Whether a second cluster uses the same Redis.
    public var hasBackgroundCluster = false
    /// The clients are the drivers of these kits: each conversation has a member of each. Empty for
    /// the harness's own clients.
    public var kits: [KitCommand] = []
    /// A hostile member and a hostile stranger join the clients: `Torture.measureHostileClients`.
    /// The nodes have their usual limits, and serve guests.
    public var hasHostileClients = false
    /// For measurements: members stay at their home node, and reconnect to it quickly.
    public var isMeasuring = false
    /// The setting `appendfsync` of redis-server: always or everysec.
    public var appendfsync: String

    var binaries: [String] { [self.binary] + (self.otherBinary.map { [$0] } ?? []) }

    public init(seed: UInt64) {
        self.seed = seed
        self.appendfsync = seed % 2 == 0 ? "everysec" : "always"
    }
}

import ChatModel
import SeededRandom

/// The parameters of a simulation, all derived from its seed.
struct SimulationParameters {
    var nodes: [Int]
    let conversations: Int
    let users: Int
    let clients: Int
    /// When the disturbances end.
    let calmAfter: Int64
    var limits = Limits.withoutRates
    /// Between nodes: the delay in milliseconds, and how many of a thousand envelopes are lost,
    /// duplicated or delayed.
    let delay: ClosedRange<Int64>
    let lost: Int
    let duplicated: Int
    let delayed: Int
    /// The numbers of cut links, store failures, and claims by other owners.
    let linkCuts: Int
    let storeFailures: Int
    let claims: Int
    /// The number of view changes: joins, drains, cancelled drains, moved shards.
    let viewChanges: Int
    /// The number of crashes.
    let nodeDeaths: Int
    /// The numbers of nodes that freeze for some seconds, and of clocks that jump.
    let nodeFreezes: Int
    let clockJumps: Int
    /// The milliseconds before the calm in which no envelope arrives, so that last envelopes are
    /// lost without a successor.
    let silenceBeforeCalm: Int64
    /// The number of failovers that lose recent writes.
    let dataLosses: Int
    /// The number of periods with two masters, of which one is then lost.
    let splits: Int
    let storeDelay: ClosedRange<Int64>
    /// Whether the store publishes to other nodes in the step that stores a message.
    let publishesWithWrite: Bool
    /// The delay before a loop ends its turn.
    let turnDelay: ClosedRange<Int64>
    /// The pause between two actions of a client.
    let pause: ClosedRange<Int64>

    /// Nothing is lost and nothing fails, so no request may be refused as unavailable. Several
    /// moves of a shard over a slow store can take longer than a request waits.
    var isFaultFree: Bool {
        self.lost == 0 && self.silenceBeforeCalm == 0 && self.linkCuts == 0 && self.delayed == 0
            && self.storeFailures == 0 && self.claims == 0
            && self.nodeDeaths == 0 && self.nodeFreezes == 0 && self.dataLosses == 0
            && self.splits == 0
            && (self.viewChanges == 0 || self.storeDelay.upperBound < 400)
    }

    init(from random: inout SeededGenerator) {
        let nodeCount = random.pick([1, 1, 2, 2, 3])!
        self.nodes = (0..<nodeCount).map { _ in random.number(1...2) }
        self.conversations = random.number(1...3)
        self.users = random.number(2...6)
        self.clients = self.users + random.number(0...4)
        self.calmAfter = random.number(8000...25_000)
        self.limits.idleTimeout = .seconds(random.pick([2, 60])!)
        if random.happens(perMille: 250) {
            self.limits.crowdAbove = 3
            self.limits.crowdEndsBelow = 3
            self.limits.crowdChangeLimit = 2
        }
        let isRough = random.happens(perMille: 750)
        self.delay = 0...(random.pick([2, 20, 200])!)
        self.lost = isRough ? random.number(0...150) : 0
        self.duplicated = isRough ? random.number(0...50) : 0
        self.delayed = isRough ? random.number(0...30) : 0
        self.linkCuts = isRough ? random.number(0...4) : 0
        self.silenceBeforeCalm = isRough ? random.pick([0, 300, 1500])! : 0
        self.storeFailures = random.happens(perMille: 500) ? random.number(1...3) : 0
        self.claims = random.happens(perMille: 250) ? random.number(1...4) : 0
        self.viewChanges = random.happens(perMille: 500) ? random.number(1...15) : 0
        self.nodeDeaths = random.happens(perMille: 400) ? random.number(1...2) : 0
        self.nodeFreezes = random.happens(perMille: 300) ? random.number(1...2) : 0
        self.clockJumps = random.happens(perMille: 250) ? random.number(1...3) : 0
        let isSteady =
            self.nodeDeaths == 0 && self.viewChanges == 0 && self.nodeFreezes == 0
            && self.claims == 0
        // Nodes also join, drain and freeze while data is lost. A node that dies loses what it
        // retained.
        let lossesPerMille = isSteady ? 400 : self.nodeDeaths == 0 ? 150 : 0
        self.dataLosses = random.happens(perMille: lossesPerMille) ? random.number(1...3) : 0
        self.splits =
            nodeCount > 1 && isSteady && self.dataLosses == 0 && random.happens(perMille: 500)
            ? random.number(1...2) : 0
        if self.dataLosses + self.splits > 0 { self.limits.retention = .seconds(60) }
        self.storeDelay = 0...(random.pick([0, 3, 30, 400])!)
        self.publishesWithWrite = random.happens(perMille: 500)
        self.turnDelay = 0...(random.pick([1, 1, 30])!)
        // A send that is retried after five seconds must still be among the recent messages, even
        // if the owner has just loaded.
        let pace = random.pick([(60, 900), (400, 150), (1500, 80), (3000, 40)])!
        self.pause = 1...Int64(pace.0)
        self.limits.recentMessages = pace.1
        self.limits.historyLimit = random.happens(perMille: 300) ? 0 : max(60, pace.1)
    }
}

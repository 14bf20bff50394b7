import ChatModel
import SeededRandom

/// Under what a simulation runs: everything is drawn from its seed.
struct SimulationParameters {
    var nodes: [Int]
    let conversations: Int
    let users: Int
    let clients: Int
    /// When the disturbances end.
    let calmAfter: Int64
    var limits = ChatLimits()
    /// Between nodes: milliseconds, and how many in a thousand envelopes are lost, doubled or held up.
    let delay: ClosedRange<Int64>
    let lost: Int
    let duplicated: Int
    let delayed: Int
    /// Pauses of a pair of loops, failures of the store, and claims of a stranger during the disturbances.
    let linkCuts: Int
    let storeFailures: Int
    let claims: Int
    /// Changes of the view: nodes that come, drain, stay after all, and shards that move.
    let viewChanges: Int
    /// Nodes that die.
    let nodeDeaths: Int
    /// Nodes that stand still for some seconds and go on; and whose clocks go wrong.
    let nodeFreezes: Int
    let clockJumps: Int
    /// So many milliseconds before the calm nothing passes between any two loops: last words are lost that nothing follows.
    let silenceBeforeCalm: Int64
    /// Failovers at which the store forgets what it had stored in the last moments.
    let dataLosses: Int
    /// Moments in which there are two masters, of which one is given up with all that was written to it.
    let splits: Int
    let storeDelay: ClosedRange<Int64>
    /// Whether other nodes hear of a message in the step that stores it.
    let publishesWithWrite: Bool
    /// How long a loop may be busy with other things before it ends its turn.
    let turnDelay: ClosedRange<Int64>
    /// How long clients wait between two acts.
    let pause: ClosedRange<Int64>

    /// Nothing is lost and nothing fails: then nobody is turned away.
    var isFaultFree: Bool {
        self.lost == 0 && self.silenceBeforeCalm == 0 && self.linkCuts == 0 && self.delayed == 0
            && self.storeFailures == 0 && self.claims == 0
            && self.nodeDeaths == 0 && self.nodeFreezes == 0 && self.dataLosses == 0
            && self.splits == 0
    }

    init(from chance: inout SeededGenerator) {
        let nodeCount = chance.pick([1, 1, 2, 2, 3])!
        self.nodes = (0..<nodeCount).map { _ in chance.number(1...2) }
        self.conversations = chance.number(1...3)
        self.users = chance.number(2...6)
        self.clients = self.users + chance.number(0...4)
        self.calmAfter = chance.number(8000...25_000)
        self.limits.idleTimeout = .seconds(chance.pick([2, 60])!)
        if chance.happens(perMille: 250) {
            self.limits.crowdAbove = 3
            self.limits.crowdEndsBelow = 3
            self.limits.crowdChangeLimit = 2
        }
        let isRough = chance.happens(perMille: 750)
        self.delay = 0...(chance.pick([2, 20, 200])!)
        self.lost = isRough ? chance.number(0...150) : 0
        self.duplicated = isRough ? chance.number(0...50) : 0
        self.delayed = isRough ? chance.number(0...30) : 0
        self.linkCuts = isRough ? chance.number(0...4) : 0
        self.silenceBeforeCalm = isRough ? chance.pick([0, 300, 1500])! : 0
        self.storeFailures = chance.happens(perMille: 500) ? chance.number(1...3) : 0
        self.claims = chance.happens(perMille: 250) ? chance.number(1...4) : 0
        self.viewChanges = chance.happens(perMille: 500) ? chance.number(1...15) : 0
        self.nodeDeaths = chance.happens(perMille: 400) ? chance.number(1...2) : 0
        self.nodeFreezes = chance.happens(perMille: 300) ? chance.number(1...2) : 0
        self.clockJumps = chance.happens(perMille: 250) ? chance.number(1...3) : 0
        // Where owners change as well, what the last one wrote may be gone with it.
        let isSteady =
            self.nodeDeaths == 0 && self.viewChanges == 0 && self.nodeFreezes == 0
            && self.claims == 0
        self.dataLosses = isSteady && chance.happens(perMille: 400) ? chance.number(1...3) : 0
        self.splits =
            nodeCount > 1 && isSteady && self.dataLosses == 0 && chance.happens(perMille: 500)
            ? chance.number(1...2) : 0
        if self.dataLosses + self.splits > 0 { self.limits.retention = .seconds(60) }
        self.storeDelay = 0...(chance.pick([0, 3, 30, 400])!)
        self.publishesWithWrite = chance.happens(perMille: 500)
        self.turnDelay = 0...(chance.pick([1, 1, 30])!)
        // What is asked again after five seconds must be remembered, also by an owner that has just loaded.
        let pace = chance.pick([(60, 900), (400, 150), (1500, 40), (1500, 20)])!
        self.pause = 1...Int64(pace.0)
        self.limits.recentMessages = pace.1
        self.limits.historyLimit = chance.happens(perMille: 300) ? 0 : max(60, pace.1)
    }
}

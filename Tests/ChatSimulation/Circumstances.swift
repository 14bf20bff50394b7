import ChatModel
import RepeatableChance

/// Under what a simulation runs: everything is drawn from its seed.
struct Circumstances {
    var nodes: [Int]
    let conversations: Int
    let users: Int
    let clients: Int
    /// When the disturbances end.
    let calmFrom: Int64
    var limits = ChatLimits()
    /// Between nodes: milliseconds, and how many in a thousand envelopes are lost, doubled or held up.
    let delay: ClosedRange<Int64>
    let lost: Int
    let doubled: Int
    let heldUp: Int
    /// Pauses of a pair of loops, failures of the store, and claims of a stranger during the disturbances.
    let cuts: Int
    let storeFailures: Int
    let claims: Int
    /// Changes of the view: nodes that come, drain, stay after all, and shards that move.
    let shifts: Int
    /// Nodes that die.
    let deaths: Int
    /// Nodes that stand still for some seconds and go on; and whose clocks go wrong.
    let freezes: Int
    let jumps: Int
    /// So many milliseconds before the calm nothing passes between any two loops: last words are lost that nothing follows.
    let silence: Int64
    /// Failovers at which the store forgets what it had stored in the last moments.
    let forgets: Int
    /// Moments in which there are two masters, of which one is given up with all that was written to it.
    let splits: Int
    let storeDelay: ClosedRange<Int64>
    /// Whether other nodes hear of a message in the step that stores it.
    let carriesNews: Bool
    /// How long a loop may be busy with other things before it ends its turn.
    let turn: ClosedRange<Int64>
    /// How long clients wait between two acts.
    let pause: ClosedRange<Int64>

    /// Nothing is lost and nothing fails: then nobody is turned away.
    var isFair: Bool {
        self.lost == 0 && self.silence == 0 && self.cuts == 0 && self.heldUp == 0 && self.storeFailures == 0 && self.claims == 0
            && self.deaths == 0 && self.freezes == 0 && self.forgets == 0 && self.splits == 0
    }

    init(from chance: inout SeededGenerator) {
        let nodeCount = chance.pick([1, 1, 2, 2, 3])!
        self.nodes = (0..<nodeCount).map { _ in chance.number(1...2) }
        self.conversations = chance.number(1...3)
        self.users = chance.number(2...6)
        self.clients = self.users + chance.number(0...4)
        self.calmFrom = chance.number(8000...25_000)
        self.limits.idle = .seconds(chance.pick([2, 60])!)
        if chance.happens(perMille: 250) {
            self.limits.crowdAbove = 3
            self.limits.crowdUntil = 3
            self.limits.crowdChanges = 2
        }
        let isRough = chance.happens(perMille: 750)
        self.delay = 0...(chance.pick([2, 20, 200])!)
        self.lost = isRough ? chance.number(0...150) : 0
        self.doubled = isRough ? chance.number(0...50) : 0
        self.heldUp = isRough ? chance.number(0...30) : 0
        self.cuts = isRough ? chance.number(0...4) : 0
        self.silence = isRough ? chance.pick([0, 300, 1500])! : 0
        self.storeFailures = chance.happens(perMille: 500) ? chance.number(1...3) : 0
        self.claims = chance.happens(perMille: 250) ? chance.number(1...4) : 0
        self.shifts = chance.happens(perMille: 500) ? chance.number(1...15) : 0
        self.deaths = chance.happens(perMille: 400) ? chance.number(1...2) : 0
        self.freezes = chance.happens(perMille: 300) ? chance.number(1...2) : 0
        self.jumps = chance.happens(perMille: 250) ? chance.number(1...3) : 0
        // Where owners change as well, what the last one wrote may be gone with it.
        let isSteady = self.deaths == 0 && self.shifts == 0 && self.freezes == 0 && self.claims == 0
        self.forgets = isSteady && chance.happens(perMille: 400) ? chance.number(1...3) : 0
        self.splits = nodeCount > 1 && isSteady && self.forgets == 0 && chance.happens(perMille: 500) ? chance.number(1...2) : 0
        if self.forgets + self.splits > 0 { self.limits.hold = .seconds(60) }
        self.storeDelay = 0...(chance.pick([0, 3, 30, 400])!)
        self.carriesNews = chance.happens(perMille: 500)
        self.turn = 0...(chance.pick([1, 1, 30])!)
        // What is asked again after five seconds must be remembered, also by an owner that has just loaded.
        let pace = chance.pick([(60, 900), (400, 150), (1500, 40), (1500, 20)])!
        self.pause = 1...Int64(pace.0)
        self.limits.recentMessages = pace.1
        self.limits.history = chance.happens(perMille: 300) ? 0 : max(60, pace.1)
    }
}

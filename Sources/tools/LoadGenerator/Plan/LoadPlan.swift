import ConfabClient
import Configuration
import EventLoop

/// The plan of a run, derived from the options: the members of each conversation, the publishers,
/// and the pacing.
struct LoadPlan: Sendable, Equatable {
    enum Pacing: Sendable, Equatable {
        /// No messages.
        case quiet
        /// A constant rate.
        case rate(perSecond: Int)
        /// This many messages in flight; each goes to every member of its conversation.
        case window(messages: Int)
        /// Each publisher sends when its last message is answered.
        case closedLoop
    }

    let scenario: BenchOptions.Scenario
    let adapter: LoadAdapter
    /// The servers; never empty.
    let urls: [WebSocketURL]
    let connections: Int
    let groups: Int
    let publishersPerGroup: Int
    let pacing: Pacing
    let messageBytes: Int
    let concurrency: Int
    /// The durations of the phases.
    let settle: Duration
    let warmup: Duration
    let duration: Duration
    let lossTimeout: Duration
    /// Prefix of the conversation ids; unique to the run, so that data of earlier runs does not
    /// interfere.
    let name: String

    /// Every connection has one counter per publisher of its conversation.
    private static let counterLimit = 64 << 20

    /// - Parameter adapters: the choices of `--adapter`; the first is the default.
    init(_ options: BenchOptions, name: String, adapters: [LoadAdapter]) throws(BenchmarkError) {
        do throws(WebSocketURLError) {
            self.urls = try options.urls.map { text throws(WebSocketURLError) in
                try WebSocketURL(text)
            }
        } catch {
            throw .url(error)
        }
        guard !self.urls.isEmpty else { throw .option("URL", problem: "a server is missing") }
        try Self.check("--connections", options.connections, in: 1...1_000_000)
        self.scenario = options.scenario
        guard
            let adapter = adapters.first(where: {
                options.adapter == nil || $0.name == options.adapter
            })
        else {
            throw .option("--adapter", problem: "\(options.adapter ?? "") is unknown")
        }
        self.adapter = adapter
        self.connections = options.connections
        switch options.scenario {
        case .broadcast: self.groups = 1
        case .send: self.groups = options.connections
        case .groups, .idle, .connect: self.groups = options.groups
        }
        try Self.check("--groups", self.groups, in: 1...options.connections)
        let smallestGroup = self.connections / self.groups
        switch options.scenario {
        case .broadcast, .groups:
            self.publishersPerGroup = options.publishers
            self.pacing =
                options.rate == 0
                ? .window(messages: options.window) : .rate(perSecond: options.rate)
        case .send:
            self.publishersPerGroup = 1
            self.pacing = .closedLoop
        case .idle, .connect:
            self.publishersPerGroup = 0
            self.pacing = .quiet
        }
        guard self.publishersPerGroup <= smallestGroup else {
            throw .option(
                "--publishers",
                problem:
                    """
                    \(self.publishersPerGroup) is more than the \(smallestGroup) members of a \
                    conversation
                    """
            )
        }
        guard self.connections * max(self.publishersPerGroup, 1) <= Self.counterLimit else {
            throw .option(
                "--publishers",
                problem:
                    """
                    so many publishers and connections need more counters than \(Self.counterLimit)
                    """
            )
        }
        try Self.check("--rate", options.rate, in: 0...10_000_000)
        try Self.check("--window", options.window, in: 1...1_000_000)
        try Self.check(
            "--message-bytes", options.messageBytes,
            in: MessageStamp.byteCount...MessageStamp.contentByteLimit)
        try Self.check("--concurrency", options.concurrency, in: 1...10_000)
        self.messageBytes = options.messageBytes
        self.concurrency = options.concurrency
        self.settle = options.settle
        self.warmup = self.pacing == .quiet ? .zero : options.warmup
        self.duration = options.scenario == .connect ? .zero : options.duration
        self.lossTimeout = options.lossTimeout
        self.name = name
    }

    private static func check(_ option: String, _ value: Int, in range: ClosedRange<Int>)
        throws(BenchmarkError)
    {
        guard !range.contains(value) else { return }
        throw .option(
            option, problem: "\(value) is not within \(range.lowerBound) to \(range.upperBound)")
    }

    /// The members of a conversation. Sizes differ by one at most.
    func members(of group: Int) -> Range<Int> {
        group * self.connections / self.groups..<(group + 1) * self.connections / self.groups
    }

    /// The index of the server that a member connects to.
    ///
    /// Every server has an equal share of every conversation, and the first one has the publishers.
    /// If a conversation has fewer members than there are servers, each conversation starts at the
    /// next server, so that no server is left out.
    func serverIndex(of member: Int, in group: Int) -> Int {
        let members = self.members(of: group)
        let part =
            (member - members.lowerBound) * self.urls.count / max(members.count, self.urls.count)
        return members.count < self.urls.count ? (group + part) % self.urls.count : part
    }

    /// The conversation of every member.
    var groupOfMember: [UInt32] {
        (0..<self.groups).flatMap { group in self.members(of: group).map { _ in UInt32(group) } }
    }

    func conversation(_ group: Int) -> String {
        "\(self.name)-\(group)"
    }
}

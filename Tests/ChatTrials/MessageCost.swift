import Bytes
import ChatCore
import ChatEngine
import ChatModel
import ChatSimulation
import Cluster
import EmbeddedStore
import Glibc
import SeededRandom

/// The cost of a message on the loop that owns its conversation and has its subscriber, including
/// the store. It is measured with few conversations and with many, and the same number of messages.
struct MessageCost {
    private struct MeasuredSession {
        let key: ConversationKey
        let person: Person
        var feed: FeedID
    }

    /// The history limit of a conversation. Conversations are full before the measurement, so that
    /// no memory grows.
    private static let history = 16

    /// The order in which conversations are sent to.
    enum ConversationOrder { case random, roundRobin }

    private var chat: ChatLoop
    private var store: TrialStore
    private var sessions: [MeasuredSession] = []
    private var now = ClockReading(
        monotonic: 1_000_000, wall: Timestamp(milliseconds: 1_700_000_000_000))
    private var random = SeededGenerator(seed: 1)
    private(set) var delivered = 0
    private var sends = 0
    /// The time of the loop and its store, without the time for generating messages.
    private var nanoseconds = 0.0

    /// - Parameter directory: where SQLite keeps its file; nil for a store in memory.
    init(conversations: Int, directory: String? = nil) {
        let id = LoopID(incarnation: 7, loop: 0)
        var limits = Limits.withoutRates
        limits.historyLimit = Self.history
        limits.recentMessages = Self.history
        self.chat = ChatLoop(
            id: id, view: View(number: 1, nodes: [View.Node(incarnation: 7, loops: 1)]),
            limits: limits)
        self.store = TrialStore(directory: directory, history: limits.historyLimit)
        for number in 0..<conversations {
            let key = ConversationKey(tenant: "default", id: ByteString(Self.uuid(number, "c")))
            let person = Person(
                id: UserID(tokenSubject: ByteString(Self.uuid(number, "a"))),
                name: ByteString("user \(number)"))
            let joinRequest = JoinRequest(
                principal: Principal(person: person, isAdmin: false), isListedInToken: true,
                template: .closed)
            let (feed, _) = self.chat.subscribe(
                to: key, with: joinRequest, context: RequestContextID(rawValue: UInt64(number)),
                at: self.now)
            self.sessions.append(MeasuredSession(key: key, person: person, feed: feed))
            if number % 256 == 255 { self.finishTurn() }
        }
        self.finishTurn()
    }

    private static func uuid(_ number: Int, _ prefix: String) -> String {
        let digits = String(number)
        return prefix + "0000000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count)
            + digits
    }

    /// The end of a turn, as in the gateway.
    private mutating func finishTurn() {
        while true {
            while self.chat.hasWork {
                self.chat.finishTurn(at: self.now)
                for (answer, ticket) in self.store.execute(self.chat.takeRequests()) {
                    self.chat.storeAnswered(answer, ticket: ticket, at: self.now)
                }
            }
            guard self.chat.hasDeliveries else { return }
            for delivery in self.chat.takeDeliveries() {
                if case .event(_, .posted, _) = delivery { self.delivered += 1 }
            }
        }
    }

    /// Sends messages, `perTurn` of them in each turn.
    mutating func send(_ count: Int, perTurn: Int, _ order: ConversationOrder) {
        let text = String(repeating: "x", count: 120)
        var left = count
        while left > 0 {
            var turn: [(session: Int, key: ConversationKey, feed: FeedID, body: MessageBody)] = []
            for _ in 0..<min(perTurn, left) {
                let number =
                    order == .roundRobin
                    ? self.sends % self.sessions.count
                    : Int(self.random.next() % UInt64(self.sessions.count))
                self.sends += 1
                let body = MessageBody(
                    author: self.sessions[number].person,
                    clientMessageID: ClientMessageID(given: ByteString(String(self.sends))),
                    content: text + String(10_000_000 + left))
                turn.append((number, self.sessions[number].key, self.sessions[number].feed, body))
            }
            left -= min(perTurn, left)
            let start = Self.processorTime
            self.chat.prefetchFeed(turn[0].feed)
            for (index, (number, key, feed, body)) in turn.enumerated() {
                // As early as a gateway that parses a frame.
                if index + 1 < turn.count { self.chat.prefetchFeed(turn[index + 1].feed) }
                self.chat.submit(
                    .post(body), in: key, through: feed,
                    context: RequestContextID(rawValue: UInt64(number)), at: self.now)
            }
            self.finishTurn()
            self.nanoseconds += Self.processorTime - start
            self.now.monotonic += 10
            if self.now.monotonic % 100 == 0 { self.chat.tick(at: self.now) }
        }
    }

    /// Nanoseconds of processor time per message.
    mutating func measure(messages: Int, perTurn: Int, _ order: ConversationOrder) -> Double {
        self.send(max(self.sessions.count * Self.history * 3 / 2, 100_000), perTurn: perTurn, order)
        let before = self.delivered
        self.nanoseconds = 0
        self.send(messages, perTurn: perTurn, order)
        precondition(
            self.delivered - before == messages,
            "\(self.delivered - before) of \(messages) messages were delivered")
        return self.nanoseconds / Double(messages)
    }

    /// The minimum of five rounds for each number of conversations. The numbers take turns, so that
    /// other load on the machine affects all of them.
    static func least(
        conversations: [Int], messages: Int, perTurn: Int, _ order: ConversationOrder, isFile: Bool
    ) -> [Double] {
        var least = [Double](repeating: .infinity, count: conversations.count)
        for _ in 0..<5 {
            for index in conversations.indices {
                let directory = isFile ? Self.makeDirectory() : nil
                var cost = MessageCost(conversations: conversations[index], directory: directory)
                least[index] = min(
                    least[index], cost.measure(messages: messages, perTurn: perTurn, order))
                cost.store.close()
                directory.map(Self.removeDirectory)
            }
        }
        return least
    }

    private static func makeDirectory() -> String {
        var template = Array("/tmp/confab-trial-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { fatalError("cannot create a directory in /tmp") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func removeDirectory(_ path: String) {
        for file in ["trial.db", "trial.db-wal", "trial.db-shm", "trial.db-lock"] {
            unlink(path + "/" + file)
        }
        rmdir(path)
    }

    /// Nanoseconds of processor time that the process has used.
    private static var processorTime: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }
}

/// Judges what the members of conversations were told: takes everything that happened, in any conversation, and says what is wrong.
///
/// It knows only what clients can know, and the promises: what was answered is stored, numbers are 1, 2, 3 … and mean the same message
/// for everybody, nobody misses or hears one twice, what one connection sends has the order in which it was sent, a send that is repeated is
/// answered with the first message, a refused message is in no history, and neither an edit nor a deletion is ever taken back.
public struct HistoryChecker: Sendable {
    /// A message as somebody was told it.
    public struct ReceivedMessage: Sendable, Equatable {
        public var number: Int
        public var sender: String
        /// The client's own id; pages of history do not have it.
        public var localID: String?
        public var content: String
        public var time: String
        public var state: State

        /// In the order in which a message goes through them.
        public enum State: Int, Sendable, Comparable {
            case sent, edited, deleted

            public static func < (first: Self, second: Self) -> Bool {
                first.rawValue < second.rawValue
            }
        }

        public init(
            _ number: Int, by sender: String, as localID: String?, _ content: String,
            at time: String, _ state: State = .sent
        ) {
            self.number = number
            self.sender = sender
            self.localID = localID
            self.content = content
            self.time = time
            self.state = state
        }
    }

    /// A message as everybody knows it.
    private struct CanonicalMessage {
        /// As it was told first.
        var message: ReceivedMessage
        /// Its words in each state that somebody was told.
        var contents: [ReceivedMessage.State: String]

        func inState(of other: ReceivedMessage) -> ReceivedMessage {
            var message = self.message
            message.state = other.state
            message.content = self.contents[other.state] ?? other.content
            return message
        }
    }

    /// What a message's author wants it to become; one edit at most.
    private struct RequestedAmendment {
        var edit: String?
        var deletion = false
    }

    /// What somebody said, before anybody answered.
    private struct MemberSend: Hashable {
        let conversation: String
        let sender: String
        let localID: String
    }

    private struct ReaderState {
        let conversation: String
        /// Over which connection, and from where on.
        let connection: String
        /// The last message that it was shown.
        var through: Int
        /// Sends that it has repeated on this connection: the answer comes out of turn.
        var repeatedSends: [String: Int] = [:]
        /// What it has sent on this connection for the first time and has no answer to, in order.
        var unansweredSends: [String] = []
    }

    /// The promise is for the newest 1,000 messages.
    private static let rememberedMessages = 1000
    /// What follows from one fault would fill pages.
    private static let violationLimit = 100

    private var contents: [MemberSend: String] = [:]
    private var numbers: [MemberSend: Int] = [:]
    private var answered: Set<MemberSend> = []
    /// How often each was sent without an answer that refused it.
    private var openAttempts: [MemberSend: Int] = [:]
    /// What refused sends said, by conversation and sender: histories have no client ids.
    private var refusedContents: [String: [String: Set<String>]] = [:]
    private var messages: [String: [Int: CanonicalMessage]] = [:]
    private var requestedAmendments: [String: [Int: RequestedAmendment]] = [:]
    /// By reader, the edits and deletions that it was told of, over whatever connection.
    private var deliveredStates: [String: [Int: ReceivedMessage.State]] = [:]
    private var lost: [String: Set<Int>] = [:]
    private var heads: [String: Int] = [:]
    private var historyCounts: [String: [String: Int]] = [:]
    private var readers: [String: ReaderState] = [:]

    public private(set) var violations: [String] = []
    public private(set) var violationCount = 0

    public init() {}

    /// The highest number that anybody has heard of.
    public func head(of conversation: String) -> Int { self.heads[conversation, default: 0] }

    public var conversations: [String] { self.heads.keys.sorted() }

    /// The last message that a reader was shown.
    public func position(of reader: String) -> Int { self.readers[reader]?.through ?? 0 }

    public var messageCount: Int { self.heads.values.reduce(0, +) }

    /// Something that is wrong and that somebody else has seen.
    public mutating func recordViolation(_ words: String) {
        self.violationCount += 1
        if self.violations.count < Self.violationLimit { self.violations.append(words) }
    }

    // MARK: What happened

    /// A reader begins, or begins again, after this message.
    public mutating func recordResume(
        _ reader: String, in conversation: String, after number: Int, through node: String = "n1"
    ) {
        self.readers[reader] = ReaderState(
            conversation: conversation, connection: "\(node) after \(number)", through: number)
    }

    /// A reader sends; not for the first time where the same id went out before, over this connection or another.
    public mutating func recordSend(_ content: String, as localID: String, by reader: String) {
        guard let conversation = self.readers[reader]?.conversation else {
            preconditionFailure("\(reader) sends from nowhere")
        }
        let send = MemberSend(conversation: conversation, sender: reader, localID: localID)
        self.openAttempts[send, default: 0] += 1
        self.refusedContents[conversation]?[reader]?.remove(content)
        if self.contents.updateValue(content, forKey: send) != nil {
            self.readers[reader]?.repeatedSends[localID, default: 0] += 1
        } else {
            self.readers[reader]?.unansweredSends.append(localID)
        }
    }

    /// A reader was told that its send could not be done, and that it may try again: others may come before it then.
    ///
    /// - Parameter isRefused: whether it was told that the message is not stored and never will be. That is judged when no other try of the
    ///   same send is open.
    public mutating func recordFailure(_ localID: String, of reader: String, isRefused: Bool) {
        self.readers[reader]?.unansweredSends.removeAll { $0 == localID }
        guard isRefused, let conversation = self.readers[reader]?.conversation else { return }
        let send = MemberSend(conversation: conversation, sender: reader, localID: localID)
        self.openAttempts[send, default: 1] -= 1
        guard self.openAttempts[send] == 0, let content = self.contents[send] else { return }
        if let number = self.numbers[send] {
            return self.recordViolation(
                "\(conversation): \(localID) is message \(number), and was refused")
        }
        self.refusedContents[conversation, default: [:]][reader, default: []].insert(content)
    }

    /// A reader was shown a message, as one of its own or of somebody else.
    public mutating func recordDelivery(_ message: ReceivedMessage, reader name: String) {
        guard var reader = self.readers[name] else {
            preconditionFailure("\(name) hears something and is nowhere")
        }
        let place = "\(reader.conversation): \(name) (\(reader.connection))"
        defer { self.readers[name] = reader }
        self.check(message, in: reader.conversation, place)
        self.checkState(of: message, reader: name, place)
        if message.sender == name, let localID = message.localID {
            self.answered.insert(
                MemberSend(conversation: reader.conversation, sender: name, localID: localID))
            if let index = reader.unansweredSends.firstIndex(of: localID) {
                if index > 0 {
                    self.recordViolation(
                        "\(place) heard its own \(localID) before \(reader.unansweredSends[0]), which it had sent earlier"
                    )
                }
                reader.unansweredSends.remove(at: index)
            }
            if message.number <= reader.through, let left = reader.repeatedSends[localID], left > 0
            {
                reader.repeatedSends[localID] = left - 1
                return
            }
        }
        if message.number <= reader.through {
            self.recordViolation(
                "\(place) heard message \(message.number) again, after \(reader.through)")
        } else {
            if message.number > reader.through + 1 {
                self.recordViolation(
                    "\(place) heard message \(message.number) after \(reader.through): there is a gap"
                )
            }
            reader.through = message.number
        }
    }

    /// The author of a message asks for other words, or for its deletion.
    public mutating func recordAmendmentRequest(
        _ number: Int, in conversation: String, to content: String?
    ) {
        if let content {
            self.requestedAmendments[conversation, default: [:]][
                number, default: RequestedAmendment()
            ].edit = content
        } else {
            self.requestedAmendments[conversation, default: [:]][
                number, default: RequestedAmendment()
            ].deletion = true
        }
    }

    /// A reader was told of an edit or a deletion.
    public mutating func recordAmendmentDelivery(_ message: ReceivedMessage, reader name: String) {
        guard let reader = self.readers[name] else {
            preconditionFailure("\(name) hears something and is nowhere")
        }
        let place = "\(reader.conversation): \(name) (\(reader.connection))"
        self.check(message, in: reader.conversation, place)
        self.checkState(of: message, reader: name, place)
    }

    /// The whole history of a conversation as a node gives it, oldest first.
    public mutating func recordHistory(
        _ history: [ReceivedMessage], of conversation: String, through node: String
    ) {
        for (place, message) in history.enumerated() where message.number != place + 1 {
            self.recordViolation(
                "\(conversation): the history through \(node) has message \(message.number) in place \(place + 1)"
            )
            break
        }
        for message in history {
            let place = "\(conversation): the history through \(node)"
            self.check(message, in: conversation, place)
            let last = self.messages[conversation]?[message.number]?.contents.keys.max() ?? .sent
            if message.state < last, message.sender != Self.placeholderSender {
                self.recordViolation(
                    "\(place) has message \(message.number) as \(message.state), and it was \(last)"
                )
            }
        }
        self.historyCounts[conversation, default: [:]][node] = history.count
    }

    /// At the end, when all is quiet: everybody has everything.
    public mutating func checkCompleteness() {
        for conversation in self.conversations {
            let head = self.head(of: conversation)
            if self.historyCounts[conversation, default: [:]].isEmpty {
                self.recordViolation("\(conversation): nobody has read its history")
            }
            for (node, count) in self.historyCounts[conversation, default: [:]].sorted(by: {
                $0.key < $1.key
            }) where count != head {
                self.recordViolation(
                    "\(conversation): the history through \(node) has \(count) messages of \(head)")
            }
        }
        for (name, reader) in self.readers.sorted(by: { $0.key < $1.key })
        where reader.through != self.head(of: reader.conversation) {
            self.recordViolation(
                "\(reader.conversation): \(name) was shown \(reader.through) messages of \(self.head(of: reader.conversation))"
            )
        }
        for send in self.answered
        where self.numbers[send] == nil && self.lost[send.conversation] == nil {
            self.recordViolation(
                "\(send.conversation): \(send.sender) was answered, and nobody knows with what")
        }
    }

    // MARK: What may be

    /// The same number is the same message for everybody, somebody has sent it, and the same send has made no other.
    private mutating func check(
        _ message: ReceivedMessage, in conversation: String, _ place: String
    ) {
        self.heads[conversation] = max(self.head(of: conversation), message.number)
        self.checkAmendment(message, in: conversation, place)
        if self.refusedContents[conversation]?[message.sender]?.contains(message.content) == true {
            self.recordViolation(
                "\(place) has message \(message.number) as \(Self.text(message)), which was refused"
            )
        }
        guard var known = self.messages[conversation]?[message.number] else {
            self.messages[conversation, default: [:]][message.number] = CanonicalMessage(
                message: message, contents: [message.state: message.content])
            return self.matchToSend(message, in: conversation, place)
        }
        let expected = known.inState(of: message)
        var shown = message
        // History has no client ids; whoever told of it first may have been history.
        if shown.localID == nil { shown.localID = expected.localID }
        guard shown == expected || expected.localID == nil else {
            if shown.sender == Self.placeholderSender {
                return self.recordLoss(known.message, in: conversation)
            }
            return self.recordViolation(
                "\(place) has message \(message.number) as \(Self.text(shown)), others have \(Self.text(expected))"
            )
        }
        let isFirstLive = expected.localID == nil && shown.localID != nil
        if isFirstLive { known.message = shown }
        known.contents[message.state] = message.content
        self.messages[conversation]?[message.number] = known
        if isFirstLive { self.matchToSend(shown, in: conversation, place) }
    }

    /// Once for each message, whoever is told of it.
    private mutating func recordLoss(_ message: ReceivedMessage, in conversation: String) {
        guard self.lost[conversation, default: []].insert(message.number).inserted else { return }
        self.recordViolation(
            "\(conversation): message \(message.number), \(Self.text(message)), was shown and is lost: nobody had it any more after the store"
                + " forgot it, and an empty one of nobody's has its number")
        // Its author may send it again, and then it is another message.
        if let localID = message.localID {
            self.numbers[
                MemberSend(conversation: conversation, sender: message.sender, localID: localID)] =
                nil
        }
    }

    /// Only what its author wanted becomes of a message.
    private mutating func checkAmendment(
        _ message: ReceivedMessage, in conversation: String, _ place: String
    ) {
        let wish = self.requestedAmendments[conversation]?[message.number]
        switch message.state {
        case .sent: return
        case .edited: if wish?.edit == message.content { return }
        case .deleted:
            if message.content.isEmpty,
                wish?.deletion == true || message.sender == Self.placeholderSender
            {
                return
            }
        }
        self.recordViolation(
            "\(place) has message \(message.number) as \(Self.text(message)), \(message.state), which nobody wanted"
        )
    }

    /// Nobody is shown again what was taken away before their eyes.
    private mutating func checkState(of message: ReceivedMessage, reader: String, _ place: String) {
        let last = self.deliveredStates[reader]?[message.number] ?? .sent
        if message.state < last {
            let isOwn = message.sender == reader ? "its own " : ""
            self.recordViolation(
                "\(place) was shown \(isOwn)message \(message.number) as \(message.state) after it was \(last)"
            )
        } else if message.state > last {
            self.deliveredStates[reader, default: [:]][message.number] = message.state
        }
    }

    /// Whose messages stand for those that the store has forgotten and nobody has any more.
    private static let placeholderSender = "nobody"

    private mutating func matchToSend(
        _ message: ReceivedMessage, in conversation: String, _ place: String
    ) {
        guard let localID = message.localID else { return }
        let send = MemberSend(conversation: conversation, sender: message.sender, localID: localID)
        guard let content = self.contents[send] else {
            return self.recordViolation(
                "\(place) has message \(message.number) as \(Self.text(message)), which nobody has sent"
            )
        }
        if message.state == .sent, content != message.content {
            self.recordViolation(
                "\(place) has message \(message.number) as \(Self.text(message)), and what was sent is \"\(content)\""
            )
        }
        if let other = self.numbers[send], other != message.number,
            abs(other - message.number) <= Self.rememberedMessages
        {
            self.recordViolation(
                "\(place) has message \(message.number) as \(Self.text(message)), which is message \(other) as well"
            )
        }
        self.numbers[send] = message.number
    }

    private static func text(_ message: ReceivedMessage) -> String {
        "\"\(message.content)\" by \(message.sender) (\(message.localID ?? "no id"), \(message.time))"
    }
}

/// Checks the guarantees of the service against everything that clients observed.
///
/// It uses only what clients can know. The guarantees are:
/// - An answered message is stored.
/// - Numbers are 1, 2, 3 … and identify the same message for all clients.
/// - No client misses a message or receives one twice.
/// - The messages of one connection keep the order in which they were sent.
/// - A repeated send is answered with the first message.
/// - A refused message is in no history.
/// - An edit or a deletion is never reverted.
public struct HistoryChecker: Sendable {
    /// A message as all clients must see it.
    struct CanonicalMessage {
        /// The first version that a client received.
        var message: ReceivedMessage
        /// The content in each state that a client received.
        var contents: [ReceivedMessage.State: String]

        func inState(of other: ReceivedMessage) -> ReceivedMessage {
            var message = self.message
            message.state = other.state
            message.content = self.contents[other.state] ?? other.content
            return message
        }
    }

    /// The amendments that a message's author requested; at most one edit.
    private struct RequestedAmendment {
        var edit: String?
        var deletion = false
    }

    /// A message that a member sends, identified by its client id.
    struct MemberSend: Hashable {
        let conversation: String
        let sender: String
        let localID: String
    }

    private struct ReaderState {
        let conversation: String
        /// The node and the position of the connection.
        let connection: String
        /// The last message that it received.
        var through: Int
        /// Sends that it repeated on this connection; their answers may be out of order.
        var repeatedSends: [String: Int] = [:]
        /// Its first sends on this connection without an answer, in order.
        var unansweredSends: [String] = []
    }

    /// The guarantee for repeated sends covers the newest 1,000 messages.
    private static let rememberedMessages = 1000
    /// One fault can cause very many violations.
    private static let violationLimit = 100

    private var contents: [MemberSend: String] = [:]
    var numbers: [MemberSend: Int] = [:]
    /// The numbers that kits reported for their own sends.
    var acknowledgedNumbers: [MemberSend: Int] = [:]
    private var answered: Set<MemberSend> = []
    /// The number of attempts of each send that were not refused.
    private var openAttempts: [MemberSend: Int] = [:]
    /// The contents of refused sends, by conversation and sender, because histories have no client
    /// ids.
    private var refusedContents: [String: [String: Set<String>]] = [:]
    var messages: [String: [Int: CanonicalMessage]] = [:]
    private var requestedAmendments: [String: [Int: RequestedAmendment]] = [:]
    /// By reader: the last state of each message that it received, on any connection.
    private var deliveredStates: [String: [Int: ReceivedMessage.State]] = [:]
    private var lostMessages: [String: Set<Int>] = [:]
    private var heads: [String: Int] = [:]
    private var historyCounts: [String: [String: Int]] = [:]
    private var readers: [String: ReaderState] = [:]
    var features = FeatureRecords()
    /// A replaced master may discard a deletion, until its owner writes it again.
    let mayDiscardChanges: Bool

    public private(set) var violations: [String] = []
    public private(set) var violationCount = 0

    public init(mayDiscardChanges: Bool = false) { self.mayDiscardChanges = mayDiscardChanges }

    /// The highest number that any client received.
    public func head(of conversation: String) -> Int { self.heads[conversation, default: 0] }

    func conversation(of reader: String) -> String? { self.readers[reader]?.conversation }

    public var conversations: [String] { self.heads.keys.sorted() }

    /// The last message that a reader received.
    public func position(of reader: String) -> Int { self.readers[reader]?.through ?? 0 }

    public var messageCount: Int { self.heads.values.reduce(0, +) }

    /// Records a violation, also one that another component has detected.
    public mutating func recordViolation(_ description: String) {
        self.violationCount += 1
        if self.violations.count < Self.violationLimit { self.violations.append(description) }
    }

    // MARK: Observations

    /// A reader connects, or reconnects, and resumes after this message.
    public mutating func recordResume(
        _ reader: String, in conversation: String, after number: Int, through node: String = "n1"
    ) {
        self.readers[reader] = ReaderState(
            conversation: conversation, connection: "\(node) after \(number)", through: number)
    }

    /// A reader sends. If the same id was sent before, on any connection, it is a repeated send.
    public mutating func recordSend(_ content: String, as localID: String, by reader: String) {
        guard let conversation = self.readers[reader]?.conversation else {
            preconditionFailure("\(reader) sends without a connection")
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

    /// A reader received an error for its send and may retry it; other messages may come before the
    /// retry.
    ///
    /// - Parameter isRefused: whether the error promises that the message is not and will not be
    ///   stored. This is checked when no other attempt of the send is open.
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

    /// A reader received a message, its own or another member's.
    public mutating func recordDelivery(_ message: ReceivedMessage, reader name: String) {
        guard var reader = self.readers[name] else {
            preconditionFailure("\(name) received a message without a connection")
        }
        let location = "\(reader.conversation): \(name) (\(reader.connection))"
        defer { self.readers[name] = reader }
        self.check(message, in: reader.conversation, location)
        self.checkState(of: message, reader: name, location)
        if message.sender == name, let localID = message.localID {
            self.answered.insert(
                MemberSend(conversation: reader.conversation, sender: name, localID: localID))
            if let index = reader.unansweredSends.firstIndex(of: localID) {
                if index > 0 {
                    self.recordViolation(
                        "\(location) received its own \(localID) before "
                            + "\(reader.unansweredSends[0]), which it had sent earlier"
                    )
                }
                reader.unansweredSends.remove(at: index)
            }
            if message.number <= reader.through, let remaining = reader.repeatedSends[localID],
                remaining > 0
            {
                reader.repeatedSends[localID] = remaining - 1
                return
            }
        }
        if message.number <= reader.through {
            self.recordViolation(
                "\(location) received message \(message.number) again, after \(reader.through)")
        } else {
            if message.number > reader.through + 1 {
                self.recordViolation(
                    "\(location) received message \(message.number) after \(reader.through): "
                        + "there is a gap"
                )
            }
            reader.through = message.number
        }
    }

    /// The author of a message requests an edit or a deletion.
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

    /// A reader received an edit or a deletion.
    public mutating func recordAmendmentDelivery(_ message: ReceivedMessage, reader name: String) {
        guard let reader = self.readers[name] else {
            preconditionFailure("\(name) received a message without a connection")
        }
        let location = "\(reader.conversation): \(name) (\(reader.connection))"
        self.check(message, in: reader.conversation, location)
        self.checkState(of: message, reader: name, location)
    }

    /// The complete history of a conversation, oldest first, as read from a node.
    public mutating func recordHistory(
        _ history: [ReceivedMessage], of conversation: String, through node: String
    ) {
        for (index, message) in history.enumerated() where message.number != index + 1 {
            self.recordViolation(
                "\(conversation): the history through \(node) has message \(message.number) "
                    + "at position \(index + 1)"
            )
            break
        }
        for message in history {
            self.checkFinalState(
                of: message, in: conversation, "\(conversation): the history through \(node)")
        }
        self.historyCounts[conversation, default: [:]][node] = history.count
    }

    /// Checks a message that is read at the end.
    mutating func checkFinalState(
        of message: ReceivedMessage, in conversation: String, _ location: String
    ) {
        self.check(message, in: conversation, location)
        guard let missing = self.changeMissing(in: message, of: conversation) else { return }
        self.recordViolation("\(location) has \(missing)")
    }

    /// At the end, when no messages are in flight: every reader and node has all messages.
    public mutating func checkCompleteness() {
        self.checkAcknowledgements()
        self.checkFeatures()
        for conversation in self.conversations {
            let head = self.head(of: conversation)
            if self.historyCounts[conversation, default: [:]].isEmpty {
                self.recordViolation("\(conversation): its history was not read")
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
                "\(reader.conversation): \(name) received \(reader.through) messages "
                    + "of \(self.head(of: reader.conversation))"
            )
        }
        for send in self.answered
        where self.numbers[send] == nil && self.lostMessages[send.conversation] == nil {
            self.recordViolation(
                "\(send.conversation): \(send.sender) was answered with an unknown message")
        }
    }

    // MARK: Checks

    /// Checks that a number identifies one message, that a member sent it, and that the send has no
    /// other number.
    private mutating func check(
        _ message: ReceivedMessage, in conversation: String, _ location: String
    ) {
        self.heads[conversation] = max(self.head(of: conversation), message.number)
        self.checkAmendment(message, in: conversation, location)
        if self.refusedContents[conversation]?[message.sender]?.contains(message.content) == true {
            self.recordViolation(
                "\(location) has message \(message.number) as \(Self.text(message)), "
                    + "which was refused"
            )
        }
        guard var canonical = self.messages[conversation]?[message.number] else {
            self.messages[conversation, default: [:]][message.number] = CanonicalMessage(
                message: message, contents: [message.state: message.content])
            return self.matchToSend(message, in: conversation, location)
        }
        let expected = canonical.inState(of: message)
        var received = message
        // Pages of history have no client ids, and the first version may come from a page.
        if received.localID == nil { received.localID = expected.localID }
        // The drivers of kits report no times.
        if received.time.isEmpty || expected.time.isEmpty { received.time = expected.time }
        guard received == expected || expected.localID == nil else {
            if received.sender == Self.placeholderSender {
                return self.recordLoss(canonical.message, in: conversation)
            }
            return self.recordViolation(
                "\(location) has message \(message.number) as \(Self.text(received)), "
                    + "others have \(Self.text(expected))"
            )
        }
        let isFirstLive = expected.localID == nil && received.localID != nil
        if isFirstLive { canonical.message = received }
        canonical.contents[message.state] = message.content
        self.messages[conversation]?[message.number] = canonical
        if isFirstLive { self.matchToSend(received, in: conversation, location) }
    }

    /// Recorded once per message.
    private mutating func recordLoss(_ message: ReceivedMessage, in conversation: String) {
        guard self.lostMessages[conversation, default: []].insert(message.number).inserted else {
            return
        }
        self.recordViolation(
            "\(conversation): message \(message.number), \(Self.text(message)), "
                + "was delivered and is lost: neither the store nor a node had it, "
                + "and a placeholder has its number")
        // The author may send it again, as another message.
        if let localID = message.localID {
            self.numbers[
                MemberSend(conversation: conversation, sender: message.sender, localID: localID)] =
                nil
        }
    }

    /// Checks that the author requested this state of the message.
    private mutating func checkAmendment(
        _ message: ReceivedMessage, in conversation: String, _ location: String
    ) {
        let amendment = self.requestedAmendments[conversation]?[message.number]
        switch message.state {
        case .sent: return
        case .edited: if amendment?.edit == message.content { return }
        case .deleted:
            if message.content.isEmpty,
                amendment?.deletion == true || message.sender == Self.placeholderSender
            {
                return
            }
        }
        self.recordViolation(
            "\(location) has message \(message.number) as \(Self.text(message)), "
                + "\(message.state), which was not requested"
        )
    }

    /// Checks that a reader does not receive an older state than before.
    private mutating func checkState(
        of message: ReceivedMessage, reader: String, _ location: String
    ) {
        let last = self.deliveredStates[reader]?[message.number] ?? .sent
        if message.state < last {
            let isOwn = message.sender == reader ? "its own " : ""
            self.recordViolation(
                "\(location) received \(isOwn)message \(message.number) as \(message.state) "
                    + "after it was \(last)"
            )
        } else if message.state > last {
            self.deliveredStates[reader, default: [:]][message.number] = message.state
        }
    }

    /// The sender of placeholders for messages that the store and all nodes have lost.
    static let placeholderSender = "nobody"

    private mutating func matchToSend(
        _ message: ReceivedMessage, in conversation: String, _ location: String
    ) {
        guard let localID = message.localID else { return }
        let send = MemberSend(conversation: conversation, sender: message.sender, localID: localID)
        guard let content = self.contents[send] else {
            return self.recordViolation(
                "\(location) has message \(message.number) as \(Self.text(message)), "
                    + "which no member has sent"
            )
        }
        if message.state == .sent, content != message.content {
            self.recordViolation(
                "\(location) has message \(message.number) as \(Self.text(message)), "
                    + "and what was sent is \"\(content)\""
            )
        }
        if let other = self.numbers[send], other != message.number,
            abs(other - message.number) <= Self.rememberedMessages
        {
            self.recordViolation(
                "\(location) has message \(message.number) as \(Self.text(message)), "
                    + "which is message \(other) as well"
            )
        }
        self.numbers[send] = message.number
    }

    private static func text(_ message: ReceivedMessage) -> String {
        "\"\(message.content)\" by \(message.sender) (\(message.localID ?? "no id"), "
            + "\(message.time))"
    }
}

import ChatModel

/// Knows the stored history, and compares every screen and every answer with it.
///
/// The rules are the promises of the design; each has a message that describes its violation.
struct SimulationChecker {
    struct ConversationHistory {
        /// All versions of all messages, by number and revision.
        var versions: [SequenceNumber: [Revision: Message]] = [:]
        var head: SequenceNumber = 0
        /// The latest start of the history. A page may have been read before the store lost later
        /// messages.
        var oldest: SequenceNumber = 1
        /// The messages that sends with a client message id created.
        var sends: [CheckedSend: [SequenceNumber]] = [:]
        var contents: Set<String> = []
        /// An owner was replaced, or a member left. Its cursors may be lost, and status updates may
        /// be repeated.
        var hasLostCursors = false
        var ended: Bool = false
        /// Messages that the store had and lost; they may be delivered while they are written
        /// again.
        var lost: [SequenceNumber: [Message]] = [:]
        /// Numbers that another message had before; clients that saw it roll back to them.
        var rewritten: Set<SequenceNumber> = []
        /// The owner that wrote a send's message.
        var writers: [CheckedSend: LoopID] = [:]
        /// The answered sends, and the numbers in their answers.
        var answeredSends: [CheckedSend: SequenceNumber] = [:]
        var hasLostData = false
        /// How often the deletion of a message, and the end, were requested.
        var deletionRequests: [SequenceNumber: Int] = [:]
        var endRequests = 0
        /// When a status was first reported.
        var firstStatusReports: [StatusReport: Int64] = [:]
    }

    struct CheckedSend: Hashable {
        let user: UserID
        let clientID: ClientMessageID
    }

    struct StatusReport: Hashable {
        let author: UserID
        let sequence: SequenceNumber
        let status: MessageStatus
    }

    private(set) var histories: [ConversationKey: ConversationHistory] = [:]
    /// The history of the other master, while there are two.
    private var otherHistories: [ConversationKey: ConversationHistory]?
    /// Contents whose senders were told that they are not stored and never will be. No two sends
    /// have the same content.
    private var refusedTexts: [ConversationKey: Set<String>] = [:]
    /// Stored sends whose owner received no answer from the store.
    private var unacknowledged: [ConversationKey: Set<CheckedSend>] = [:]
    private(set) var violation: String?
    private let limits: ChatLimits

    init(limits: ChatLimits) {
        self.limits = limits
    }

    var messageCount: Int { self.histories.values.reduce(0) { $0 + $1.head } }

    /// Records the first violation.
    mutating func expect(_ isSo: Bool, _ why: @autoclosure () -> String) {
        if !isSo, self.violation == nil { self.violation = why() }
    }

    func history(of conversation: ConversationKey) -> ConversationHistory {
        self.histories[conversation] ?? ConversationHistory()
    }

    // MARK: The store

    /// - Parameter isHeard: whether the owner learns that it is stored.
    mutating func stored(
        _ write: Write, by owner: LoopID, onOther: Bool, isAcknowledged isHeard: Bool
    ) {
        if !isHeard, case .message(let message) = write.change,
            let client = message.body.clientMessageID
        {
            self.unacknowledged[write.conversation, default: []].insert(
                CheckedSend(user: message.body.author.id, clientID: client))
        }
        if onOther { self.swapMasters() }
        defer { if onOther { self.swapMasters() } }
        let key = write.conversation
        switch write.change {
        case .message(let message):
            self.stored(message, by: owner, in: key)
        case .amend(let message, _):
            let known = self.histories[key]?.versions[message.sequence]
            let isDeleted = known?.values.contains { $0.state == .deleted } ?? false
            let isAgain = self.history(of: key).hasLostData
            self.expect(
                !isDeleted || isAgain,
                "\(key): message \(message.sequence) was changed after its deletion")
            self.histories[key]?.versions[message.sequence, default: [:]][write.revision] = message
        case .end:
            self.histories[key, default: ConversationHistory()].ended = true
        case .remove:
            self.histories[key, default: ConversationHistory()].hasLostCursors = true
        case .create, .member, .cursors, .skip:
            break
        }
    }

    private mutating func swapMasters() {
        guard let others = self.otherHistories else { return }
        self.otherHistories = self.histories
        self.histories = others
    }

    private mutating func stored(_ message: Message, by owner: LoopID, in key: ConversationKey) {
        var past = self.history(of: key)
        self.expect(
            message.sequence == past.head + 1,
            "\(key): message \(message.sequence) was stored behind \(past.head)")
        // A message that is written again keeps its time, and may follow a later message of another
        // master.
        if let before = past.versions[past.head]?.values.first, !self.mayBeOfTwoMasters(past) {
            self.expect(
                before.sentAt <= message.sentAt,
                "\(key): message \(message.sequence) was sent before its predecessor")
        }
        self.expect(
            !past.ended || self.mayBeOfTwoMasters(past),
            "\(key): message \(message.sequence) was stored after the end")
        self.expect(
            self.refusedTexts[key]?.contains(message.body.content) != true,
            "\(key): \"\(message.body.content)\" was stored after its sender was told that it never will be"
        )
        let isRepeated =
            message.state != .deleted && !past.contents.insert(message.body.content).inserted
        self.expect(!isRepeated, "\(key): \"\(message.body.content)\" was stored twice")
        past.head = message.sequence
        if self.limits.historyLimit > 0 {
            past.oldest = max(past.oldest, past.head - self.limits.historyLimit + 1)
        }
        past.versions[message.sequence] = [message.revision: message]
        if let lost = past.lost[message.sequence],
            !lost.allSatisfy({ $0.isSameMessage(as: message) })
        {
            past.rewritten.insert(message.sequence)
        }
        if let client = message.body.clientMessageID {
            let send = CheckedSend(user: message.body.author.id, clientID: client)
            if let last = past.sends[send]?.last {
                let window =
                    self.limits.historyLimit > 0
                    ? min(self.limits.historyLimit, self.limits.recentMessages)
                    : self.limits.recentMessages
                self.expect(
                    message.sequence - last > window,
                    "\(key): a send of \(send.user) made message \(last) and, while that was remembered, \(message.sequence)"
                )
            }
            past.sends[send, default: []].append(message.sequence)
            past.writers[send] = owner
        }
        self.histories[key] = past
    }

    /// The store lost everything after this point. It must be written again, under the numbers that
    /// clients have seen.
    mutating func lostData(_ key: ConversationKey, downTo loaded: LoadedConversation?) {
        var past = self.history(of: key)
        let head = loaded?.head ?? 0
        for sequence in past.versions.keys where sequence > head {
            for version in past.versions[sequence]!.values {
                past.contents.remove(version.body.content)
            }
            past.lost[sequence, default: []] += past.versions[sequence]!.values
            past.versions[sequence] = nil
        }
        for send in past.sends.keys { past.sends[send]?.removeAll { $0 > head } }
        past.sends = past.sends.filter { !$0.value.isEmpty }
        past.head = min(past.head, head)
        past.ended = loaded?.record.endedAt != nil
        past.hasLostCursors = true
        past.hasLostData = true
        self.histories[key] = past
    }

    mutating func ownerReplaced(_ conversation: ConversationKey) {
        self.histories[conversation, default: ConversationHistory()].hasLostCursors = true
    }

    /// From now on there are two masters, and a client may see the histories of both.
    mutating func splitMasters() {
        for key in self.histories.keys { self.histories[key]!.hasLostCursors = true }
        self.otherHistories = self.histories
    }

    /// The history of one master is lost, although it may have been answered and delivered.
    mutating func uniteMasters(keepingOther: Bool) {
        guard let others = self.otherHistories else { return }
        let (kept, lost) = keepingOther ? (others, self.histories) : (self.histories, others)
        let asked = self.histories
        self.histories = kept
        self.otherHistories = nil
        for (key, lost) in lost {
            var past = self.history(of: key)
            for (sequence, versions) in lost.versions {
                let gone = versions.values.filter { version in
                    let same = past.versions[sequence]?[version.revision]
                    return same.map {
                        !$0.isSameMessage(as: version) || $0.body.content != version.body.content
                    } ?? true
                }
                guard !gone.isEmpty else { continue }
                past.lost[sequence, default: []] += gone
                if let there = past.versions[sequence]?.values.first,
                    !gone.allSatisfy({ $0.isSameMessage(as: there) })
                {
                    past.rewritten.insert(sequence)
                }
            }
            for (sequence, versions) in lost.lost { past.lost[sequence, default: []] += versions }
            past.rewritten.formUnion(lost.rewritten)
            past.writers.merge(lost.writers) { mine, _ in mine }
            past.answeredSends.merge(lost.answeredSends) { mine, _ in mine }
            // Requests and status reports do not depend on the master.
            past.deletionRequests = asked[key]?.deletionRequests ?? [:]
            past.endRequests = asked[key]?.endRequests ?? 0
            past.hasLostCursors = true
            past.hasLostData = true
            self.histories[key] = past
        }
    }

    /// All versions of a message that any master has stored.
    func versions(of sequence: SequenceNumber, in key: ConversationKey) -> [Message] {
        [self.histories[key], self.otherHistories?[key]].compactMap { $0 }.flatMap { past in
            Array(past.versions[sequence, default: [:]].values) + past.lost[sequence, default: []]
        }
    }

    /// Whether a version belongs to a history that is lost, or may become lost.
    private func isInDoubt(_ message: Message, in key: ConversationKey) -> Bool {
        if self.otherHistories != nil { return true }
        guard let kept = self.history(of: key).versions[message.sequence]?[message.revision] else {
            return true
        }
        return !kept.isSameMessage(as: message) || kept.body.content != message.body.content
    }

    // MARK: Answers

    mutating func requested(_ command: ChatCommand, in conversation: ConversationKey) {
        switch command {
        case .delete(let sequence, _):
            self.histories[conversation, default: ConversationHistory()].deletionRequests[
                sequence, default: 0] += 1
        case .end: self.histories[conversation, default: ConversationHistory()].endRequests += 1
        default: break
        }
    }

    /// Checks an error. A client that made a request alone and once must not be told that it was
    /// already done.
    mutating func refused(_ error: ChatError, to client: SimulatedClient, askedToEnd: Bool) {
        let past = self.history(of: client.conversation)
        // The deletion may have applied to another message, if another master's history took the
        // number.
        if case .messageDeleted(let sequence) = error, past.deletionRequests[sequence] == 1,
            !past.rewritten.contains(sequence)
        {
            let versions = past.versions[sequence]?.values
            let isItself = versions?.first?.body.author.id == client.person.id
            // A message that was deleted at another master is written here without content.
            let hadWords = versions?.contains { $0.state != .deleted } ?? false
            self.expect(
                !isItself || !hadWords || client.hasEdited.contains(sequence),
                "\(client.name) deleted \(sequence), and was told that it is deleted")
        }
        if error == .conversationEnded, askedToEnd {
            self.expect(
                past.endRequests > 1,
                "\(client.name) ended the conversation, and was told that it has ended")
        }
    }

    /// Checks an answer that says that a message is stored.
    mutating func answered(_ message: Message, to body: MessageBody, of client: SimulatedClient) {
        let past = self.history(of: client.conversation)
        let stored = self.versions(of: message.sequence, in: client.conversation).filter {
            $0.revision == message.revision
        }
        self.expect(
            !stored.isEmpty,
            "\(client.name) was answered with message \(message.sequence), which is not stored")
        guard !stored.isEmpty else { return }
        if let id = message.body.clientMessageID {
            self.histories[client.conversation]?.answeredSends[
                CheckedSend(user: message.body.author.id, clientID: id)] = message.sequence
        }
        self.expect(
            stored.contains { $0.body.author.id == body.author.id && $0.sentAt == message.sentAt },
            "\(client.name) was answered with message \(message.sequence), which is not its own")
        if let id = body.clientMessageID {
            let made =
                self.history(of: client.conversation).sends[
                    CheckedSend(user: body.author.id, clientID: id)] ?? []
            self.expect(
                past.hasLostData || self.otherHistories != nil || made.contains(message.sequence),
                "\(client.name) was answered with message \(message.sequence), which another send made"
            )
        } else {
            self.expect(
                message.body.content == body.content || message.state != .asSent,
                "\(client.name) was answered with message \(message.sequence), which has other words"
            )
        }
    }

    /// Checks an answer that says that a send has failed. A refused send is never stored.
    mutating func failed(_ error: ChatError, _ body: MessageBody, of client: SimulatedClient) {
        guard error.outcome == .refused else { return }
        let stored = [
            self.histories[client.conversation], self.otherHistories?[client.conversation],
        ].compactMap { $0 }
        self.expect(
            !stored.contains { $0.contents.contains(body.content) },
            "\(client.name) was told that \"\(body.content)\" is not stored, and it is")
        self.refusedTexts[client.conversation, default: []].insert(body.content)
    }

    /// Checks that the messages of one connection have numbers in the order of their sends, even if
    /// several were in flight.
    mutating func checkOrder(
        _ message: Message, requested asked: UInt64, as body: MessageBody,
        of client: SimulatedClient
    ) {
        let past = self.history(of: client.conversation)
        // With an id, the answer may be an older message; two masters have two orders.
        guard body.clientMessageID == nil, message.body.content == body.content,
            self.otherHistories == nil, !past.hasLostData
        else { return }
        for other in client.answeredSends {
            self.expect(
                (other.asked < asked) == (other.sequence < message.sequence),
                "\(client.name) sent messages \(other.sequence) and \(message.sequence) the other way round"
            )
        }
        client.answeredSends.append((asked, message.sequence))
    }

    // MARK: Screens

    /// A message is delivered live or by a replay.
    mutating func delivered(_ message: Message, to client: SimulatedClient) {
        let past = self.history(of: client.conversation)
        let next = client.screen.through + 1
        if message.sequence != next {
            // The newest message of both masters determines which ones are trimmed.
            let oldest = max(past.oldest, self.otherHistories?[client.conversation]?.oldest ?? 0)
            let isDropped = message.sequence > next && oldest >= message.sequence
            // Deliveries before this connection may come from another master.
            let isAnother =
                client.screen.delivered[message.sequence].map {
                    self.areOfTwoMasters($0, message, past)
                } ?? self.mayBeOfTwoMasters(past)
            let isRewritten =
                message.sequence < next && (past.rewritten.contains(message.sequence) || isAnother)
            self.expect(
                isDropped || isRewritten,
                "\(client.name) was shown message \(message.sequence) where \(next) was next")
        }
        client.screen.through = message.sequence
        client.screen.delivered[message.sequence] = message
        client.lastSeen = message.sequence
        self.check(message, seenBy: client)
    }

    /// Messages with one number from two masters have different times; neither is a version of the
    /// other.
    private func areOfTwoMasters(_ one: Message, _ other: Message, _ past: ConversationHistory)
        -> Bool
    {
        one.sentAt != other.sentAt && self.mayBeOfTwoMasters(past)
    }

    private func mayBeOfTwoMasters(_ past: ConversationHistory) -> Bool {
        self.otherHistories != nil || past.hasLostData
    }

    /// A message appears on a screen. It may be newer than the version shown before, never older.
    mutating func check(_ message: Message, seenBy client: SimulatedClient) {
        let stored = self.versions(of: message.sequence, in: client.conversation)
        self.expect(
            stored.contains {
                $0.revision == message.revision && $0.body.content == message.body.content
                    && $0.state == message.state
            },
            "\(client.name) was shown message \(message.sequence) in a version \(message.revision) that is not stored"
        )
        let known =
            client.screen.messages[message.sequence]
            ?? client.screen.amendedBeforeDelivery[message.sequence]
        if let known {
            // A change that both masters executed has two revisions.
            let past = self.history(of: client.conversation)
            let looksTheSame =
                known.state == message.state && known.body.content == message.body.content
            self.expect(
                known.revision <= message.revision || self.isInDoubt(known, in: client.conversation)
                    || self.areOfTwoMasters(known, message, past)
                    || looksTheSame && self.mayBeOfTwoMasters(past),
                "\(client.name) was shown message \(message.sequence) \(message.state) (\(message.revision)) after it was \(known.state) (\(known.revision))"
            )
        }
        if message.sequence <= client.screen.through {
            client.screen.messages[message.sequence] = message
        }
    }

    mutating func amended(_ message: Message, for client: SimulatedClient) {
        if client.screen.messages[message.sequence] != nil {
            self.check(message, seenBy: client)
        } else {
            client.screen.amendedBeforeDelivery[message.sequence] = message
        }
    }

    mutating func status(
        _ status: MessageStatus, of sequences: [SequenceNumber], for client: SimulatedClient,
        at now: Int64
    ) {
        for sequence in sequences {
            let isOwn = self.versions(of: sequence, in: client.conversation).contains {
                $0.body.author.id == client.person.id
            }
            self.expect(
                isOwn, "\(client.name) was told of the status of \(sequence), which is not its own")
            if self.history(of: client.conversation).hasLostCursors { continue }
            if status == .delivered {
                self.expect(
                    !client.screen.readSequences.contains(sequence),
                    "\(client.name) was told that \(sequence) is delivered after it was read")
                self.expect(
                    client.screen.deliveredSequences.insert(sequence).inserted,
                    "\(client.name) was told twice that \(sequence) is delivered")
            } else {
                self.expect(
                    client.screen.readSequences.insert(sequence).inserted,
                    "\(client.name) was told twice that \(sequence) is read")
            }
            // A status reaches several connections, some of them late. A repetition comes much
            // later.
            let told = StatusReport(author: client.person.id, sequence: sequence, status: status)
            let first = self.histories[client.conversation]?.firstStatusReports[told] ?? now
            self.histories[client.conversation]?.firstStatusReports[told] = first
            self.expect(
                now - first < 5000,
                "\(client.name) was told that \(sequence) is \(status), \(now - first) ms after the first time"
            )
        }
    }

    /// At the end, every screen must show the stored history.
    mutating func compareScreen(
        _ client: SimulatedClient, with page: MessagePage, present: Set<UserID>
    ) {
        self.compareMessages(client, with: page)
        let picture = client.screen
        if let crowd = picture.crowd {
            self.expect(
                crowd == present.count,
                "\(client.name) sees a crowd of \(crowd), there are \(present.count)")
        } else {
            let others = present.subtracting([client.person.id])
            self.expect(
                picture.online.subtracting([client.person.id]) == others,
                "\(client.name) sees online \(picture.online.sorted()), there are \(others.sorted())"
            )
        }
        self.expect(
            picture.typingUsers.isEmpty,
            "\(client.name) still sees \(picture.typingUsers.sorted()) typing")
        self.expect(
            picture.isEnded == self.history(of: client.conversation).ended,
            "\(client.name) does not know whether the conversation has ended")
    }

    /// Every answered send must be stored exactly once at the end. Exceptions: its owner crashed
    /// with the retained write, or the owner never learned that it was stored, and the store lost
    /// it.
    mutating func compareAnswers(in key: ConversationKey, with page: MessagePage, dead: Set<LoopID>)
    {
        let past = self.history(of: key)
        var counts: [CheckedSend: Int] = [:]
        for message in page.messages {
            guard let id = message.body.clientMessageID else { continue }
            counts[CheckedSend(user: message.body.author.id, clientID: id), default: 0] += 1
        }
        for (send, sequence) in past.answeredSends.sorted(by: { $0.value < $1.value })
        where sequence >= page.oldest {
            let isUnheard = past.hasLostData && self.unacknowledged[key]?.contains(send) == true
            let isLost = isUnheard || past.writers[send].map { dead.contains($0) } ?? false
            let count = counts[send] ?? 0
            let window =
                self.limits.historyLimit > 0
                ? min(self.limits.historyLimit, self.limits.recentMessages)
                : self.limits.recentMessages
            self.expect(
                count == 1 || count == 0 && isLost || count > 1 && page.messages.count > window,
                "\(key): message \(sequence) was answered to \(send.user), and is stored \(count) times in the end"
            )
        }
    }

    /// Every message must be shown as it is stored.
    mutating func compareMessages(_ client: SimulatedClient, with page: MessagePage) {
        let picture = client.screen
        self.expect(
            picture.through == page.head,
            "\(client.name) was shown \(picture.through) messages of \(page.head)")
        for message in page.messages {
            guard let shown = picture.messages[message.sequence] else { continue }
            // A message of a lost master can look the same and differ only in its revision.
            let isSameToSee =
                shown.isSameMessage(as: message) && shown.state == message.state
                && shown.body.content == message.body.content
                && self.isInDoubt(shown, in: client.conversation)
            self.expect(
                shown.revision == message.revision || isSameToSee,
                "\(client.name) still sees message \(message.sequence) as \(shown.state) (\(shown.revision)), it is \(message.state) (\(message.revision))"
            )
        }
    }
}

extension Message {
    /// Whether both are the same message, independent of edits.
    func isSameMessage(as other: Message) -> Bool {
        self.sequence == other.sequence && self.sentAt == other.sentAt
            && self.body.author.id == other.body.author.id
            && self.body.clientMessageID == other.body.clientMessageID
    }
}

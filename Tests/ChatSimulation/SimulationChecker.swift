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
        /// Users who were no members for a time.
        var removedUsers: Set<UserID> = []
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

    var histories: [ConversationKey: ConversationHistory] = [:]
    /// The history of the other master, while there are two.
    private(set) var otherHistories: [ConversationKey: ConversationHistory]?
    private(set) var hadTwoMasters = false
    /// Contents whose senders received a refusal: they must never be stored. No two sends
    /// have the same content.
    private var refusedTexts: [ConversationKey: Set<String>] = [:]
    /// Stored sends whose owner received no answer from the store.
    private(set) var unacknowledged: [ConversationKey: Set<CheckedSend>] = [:]
    private(set) var violation: String?
    /// What users asked of messages, in the order of their requests.
    var annotationRequests: [AnnotationRequest] = []
    /// The target and the mentions of each send that has some, by its text.
    var requestedAnnotations: [String: (reply: SequenceNumber?, mentions: [UserID])] = [:]
    let limits: Limits

    init(limits: Limits) {
        self.limits = limits
    }

    var messageCount: Int { self.histories.values.reduce(0) { $0 + $1.head } }

    /// Records the first violation.
    mutating func expect(_ condition: Bool, _ message: @autoclosure () -> String) {
        if !condition, self.violation == nil { self.violation = message() }
    }

    func history(of conversation: ConversationKey) -> ConversationHistory {
        self.histories[conversation] ?? ConversationHistory()
    }

    // MARK: The store

    /// - Parameter isAcknowledged: whether the owner learns that it is stored.
    mutating func stored(
        _ write: Write, by owner: LoopID, onOther: Bool, isAcknowledged: Bool
    ) {
        if !isAcknowledged, case .message(let message) = write.change,
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
        case .amend(let message, _, _):
            let known = self.histories[key]?.versions[message.sequence]
            let isDeleted = known?.values.contains { $0.state == .deleted } ?? false
            let isAgain = self.history(of: key).hasLostData
            self.expect(
                !isDeleted || isAgain,
                "\(key): message \(message.sequence) was changed after its deletion")
            if let known = known?.values.first, !isAgain {
                self.expect(
                    known.body.annotations?.reply == message.body.annotations?.reply,
                    "\(key): message \(message.sequence) has another thread than before")
            }
            self.checkAnnotations(of: message, in: key)
            self.histories[key]?.versions[message.sequence, default: [:]][write.revision] = message
        case .end:
            self.histories[key, default: ConversationHistory()].ended = true
        case .member(let member) where !member.role.isMember:
            self.histories[key, default: ConversationHistory()].removedUsers.insert(member.user)
            self.histories[key]?.hasLostCursors = true
        case .remove(let user):
            self.histories[key, default: ConversationHistory()].removedUsers.insert(user)
            self.histories[key]?.hasLostCursors = true
        case .create, .member, .update, .cursors, .skip: break
        }
    }

    private mutating func swapMasters() {
        guard let others = self.otherHistories else { return }
        self.otherHistories = self.histories
        self.histories = others
    }

    private mutating func stored(_ message: Message, by owner: LoopID, in key: ConversationKey) {
        var history = self.history(of: key)
        self.expect(
            message.sequence == history.head + 1,
            "\(key): message \(message.sequence) was stored after \(history.head)")
        // A message that is written again keeps its time, and may follow a later message of another
        // master.
        if let before = history.versions[history.head]?.values.first,
            !self.mayBeOfTwoMasters(history)
        {
            self.expect(
                before.sentAt <= message.sentAt,
                "\(key): message \(message.sequence) was sent before its predecessor")
        }
        self.expect(
            !history.ended || self.mayBeOfTwoMasters(history),
            "\(key): message \(message.sequence) was stored after the end")
        // Two masters have two owners, which may decide differently.
        self.expect(
            self.refusedTexts[key]?.contains(message.body.content) != true || self.hadTwoMasters,
            "\(key): \"\(message.body.content)\" was stored after it was refused"
        )
        self.checkAnnotations(of: message, in: key)
        self.checkRequested(by: message, in: key)
        // Notices in inboxes have equal texts; their ids tell them apart.
        let isRepeated =
            !key.isInbox && message.state != .deleted
            && !history.contents.insert(message.body.content).inserted
        self.expect(!isRepeated, "\(key): \"\(message.body.content)\" was stored twice")
        history.head = message.sequence
        if self.limits.historyLimit > 0 {
            history.oldest = max(history.oldest, history.head - self.limits.historyLimit + 1)
        }
        history.versions[message.sequence] = [message.revision: message]
        if let lost = history.lost[message.sequence],
            !lost.allSatisfy({ $0.isSameMessage(as: message) })
        {
            history.rewritten.insert(message.sequence)
        }
        if let client = message.body.clientMessageID {
            let send = CheckedSend(user: message.body.author.id, clientID: client)
            if let last = history.sends[send]?.last {
                let window =
                    self.limits.historyLimit > 0
                    ? min(self.limits.historyLimit, self.limits.recentMessages)
                    : self.limits.recentMessages
                self.expect(
                    message.sequence - last > window,
                    "\(key): a send of \(send.user) made message \(last) "
                        + "and again \(message.sequence), within the window"
                )
            }
            history.sends[send, default: []].append(message.sequence)
            history.writers[send] = owner
        }
        self.histories[key] = history
    }

    /// The store lost everything after this point. It must be written again, under the numbers that
    /// clients have seen.
    mutating func lostData(_ key: ConversationKey, downTo loaded: LoadedConversation?) {
        var history = self.history(of: key)
        let head = loaded?.head ?? 0
        for sequence in history.versions.keys where sequence > head {
            for version in history.versions[sequence]!.values {
                history.contents.remove(version.body.content)
            }
            history.lost[sequence, default: []] += history.versions[sequence]!.values
            history.versions[sequence] = nil
        }
        for send in history.sends.keys { history.sends[send]?.removeAll { $0 > head } }
        history.sends = history.sends.filter { !$0.value.isEmpty }
        history.head = min(history.head, head)
        history.ended = loaded?.record.endedAt != nil
        history.hasLostCursors = true
        history.hasLostData = true
        self.histories[key] = history
    }

    mutating func ownerReplaced(_ conversation: ConversationKey) {
        self.histories[conversation, default: ConversationHistory()].hasLostCursors = true
    }

    /// From now on there are two masters, and a client may see the histories of both.
    mutating func splitMasters() {
        self.hadTwoMasters = true
        for key in self.histories.keys { self.histories[key]!.hasLostCursors = true }
        self.otherHistories = self.histories
    }

    /// The history of one master is lost, although it may have been answered and delivered.
    mutating func uniteMasters(keepingOther: Bool) {
        guard let others = self.otherHistories else { return }
        let (retained, lostHistory) =
            keepingOther ? (others, self.histories) : (self.histories, others)
        let requested = self.histories
        self.histories = retained
        self.otherHistories = nil
        for (key, lostHistory) in lostHistory {
            var history = self.history(of: key)
            for (sequence, versions) in lostHistory.versions {
                let lostVersions = versions.values.filter { version in
                    let counterpart = history.versions[sequence]?[version.revision]
                    return counterpart.map {
                        !$0.isSameMessage(as: version) || $0.body.content != version.body.content
                    } ?? true
                }
                guard !lostVersions.isEmpty else { continue }
                history.lost[sequence, default: []] += lostVersions
                if let current = history.versions[sequence]?.values.first,
                    !lostVersions.allSatisfy({ $0.isSameMessage(as: current) })
                {
                    history.rewritten.insert(sequence)
                }
            }
            for (sequence, versions) in lostHistory.lost {
                history.lost[sequence, default: []] += versions
            }
            history.rewritten.formUnion(lostHistory.rewritten)
            history.writers.merge(lostHistory.writers) { mine, _ in mine }
            history.answeredSends.merge(lostHistory.answeredSends) { mine, _ in mine }
            // Requests and status reports do not depend on the master.
            history.deletionRequests = requested[key]?.deletionRequests ?? [:]
            history.endRequests = requested[key]?.endRequests ?? 0
            history.hasLostCursors = true
            history.hasLostData = true
            self.histories[key] = history
        }
    }

    /// All versions of a message that any master has stored.
    func versions(of sequence: SequenceNumber, in key: ConversationKey) -> [Message] {
        [self.histories[key], self.otherHistories?[key]].compactMap { $0 }.flatMap { history in
            Array(history.versions[sequence, default: [:]].values)
                + history.lost[sequence, default: []]
        }
    }

    /// Whether a version belongs to a history that is lost, or may become lost.
    func isInDoubt(_ message: Message, in key: ConversationKey) -> Bool {
        if self.otherHistories != nil { return true }
        guard let retained = self.history(of: key).versions[message.sequence]?[message.revision]
        else {
            return true
        }
        return !retained.isSameMessage(as: message) || !retained.looks(like: message)
    }

    // MARK: Answers

    mutating func requested(_ command: ChatCommand, in conversation: ConversationKey) {
        switch command {
        case .post(let body):
            guard let annotations = body.annotations else { return }
            self.requestedAnnotations[body.content] = (
                annotations.reply?.to, annotations.mentions?.users ?? []
            )
        case .delete(let sequence, _):
            self.histories[conversation, default: ConversationHistory()].deletionRequests[
                sequence, default: 0] += 1
        case .end: self.histories[conversation, default: ConversationHistory()].endRequests += 1
        default: break
        }
    }

    /// Checks an error. A client that made a request alone and once must not get the error that it
    /// was already done.
    mutating func refused(_ error: ChatError, to client: SimulatedClient, askedToEnd: Bool) {
        let history = self.history(of: client.conversation)
        // The deletion may have applied to another message, if another master's history took the
        // number.
        if case .messageDeleted(let sequence) = error, history.deletionRequests[sequence] == 1,
            !history.rewritten.contains(sequence)
        {
            let versions = history.versions[sequence]?.values
            let isItself = versions?.first?.body.author.id == client.person.id
            // A message that was deleted at another master is written here without content.
            let hadWords = versions?.contains { $0.state != .deleted } ?? false
            self.expect(
                !isItself || !hadWords || client.hasEdited.contains(sequence),
                "\(client.name) deleted \(sequence) once, and got \"already deleted\"")
        }
        if error == .conversationEnded, askedToEnd {
            self.expect(
                history.endRequests > 1,
                "\(client.name) ended the conversation once, and got \"already ended\"")
        }
    }

    /// Checks an answer that says that a message is stored.
    mutating func answered(_ message: Message, to body: MessageBody, of client: SimulatedClient) {
        let history = self.history(of: client.conversation)
        let stored = self.versions(of: message.sequence, in: client.conversation).filter {
            $0.revision == message.revision
        }
        self.expect(
            !stored.isEmpty,
            "\(client.name) got message \(message.sequence) as an answer, which is not stored")
        guard !stored.isEmpty else { return }
        if let id = message.body.clientMessageID {
            self.histories[client.conversation]?.answeredSends[
                CheckedSend(user: message.body.author.id, clientID: id)] = message.sequence
        }
        self.expect(
            stored.contains { $0.body.author.id == body.author.id && $0.sentAt == message.sentAt },
            "\(client.name) got message \(message.sequence) as an answer, which is not its own")
        if let id = body.clientMessageID {
            let made =
                self.history(of: client.conversation).sends[
                    CheckedSend(user: body.author.id, clientID: id)] ?? []
            self.expect(
                history.hasLostData || self.otherHistories != nil
                    || made.contains(message.sequence),
                "\(client.name) got message \(message.sequence) as an answer, "
                    + "which another send made"
            )
        } else {
            self.expect(
                message.body.content == body.content || message.state != .asSent,
                "\(client.name) got message \(message.sequence) as an answer, "
                    + "which has other content"
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
            "\(client.name) got a refusal for \"\(body.content)\", which is stored")
        self.refusedTexts[client.conversation, default: []].insert(body.content)
    }

    /// Checks that the messages of one connection have numbers in the order of their sends, even if
    /// several were in flight. A send that was refused because its author was no member, and whose
    /// answer was lost, is retried after later ones.
    mutating func checkOrder(
        _ message: Message, requested: UInt64, as body: MessageBody,
        of client: SimulatedClient
    ) {
        let history = self.history(of: client.conversation)
        // With an id, the answer may be an older message; two masters have two orders.
        guard body.clientMessageID == nil, message.body.content == body.content,
            self.otherHistories == nil, !history.hasLostData,
            !history.removedUsers.contains(client.person.id)
        else { return }
        for other in client.answeredSends {
            self.expect(
                (other.requested < requested) == (other.sequence < message.sequence),
                "\(client.name) sent messages \(other.sequence) and \(message.sequence) "
                    + "in the opposite order"
            )
        }
        client.answeredSends.append((requested, message.sequence))
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

import ChatModel

/// Knows what was stored, and holds every picture and every answer against it.
///
/// The rules are the promises of the design, each in the words of what went wrong.
struct SimulationChecker {
    struct ConversationHistory {
        /// Every version of every message, by number and revision.
        var versions: [SequenceNumber: [Revision: Message]] = [:]
        var head: SequenceNumber = 0
        /// Where the history began last: a page may have been read before the store forgot what came after.
        var oldest: SequenceNumber = 1
        /// The messages that a user's send under an id has made.
        var sends: [CheckedSend: [SequenceNumber]] = [:]
        var contents: Set<String> = []
        /// An owner was replaced, or a member left: its cursors may be lost, and what they told is told again.
        var hasLostCursors = false
        var ended: Bool = false
        /// What the store had once and lost: it may be shown while it is written again.
        var lost: [SequenceNumber: [Message]] = [:]
        /// Numbers that stood for another message before: who has seen that goes back to them.
        var rewritten: Set<SequenceNumber> = []
        /// Who wrote what a send has made.
        var writers: [CheckedSend: LoopID] = [:]
        /// The sends that were answered, with the numbers that were told.
        var answeredSends: [CheckedSend: SequenceNumber] = [:]
        var hasLostData = false
        /// How often a deletion of a message was asked for, and an end.
        var deletionRequests: [SequenceNumber: Int] = [:]
        var endRequests = 0
        /// When somebody was first told how far a message has come.
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
    /// While there are two masters: what the other one was told.
    private var otherHistories: [ConversationKey: ConversationHistory]?
    /// What senders were told is not stored and never will be. No two sends have the same words.
    private var refusedTexts: [ConversationKey: Set<String>] = [:]
    /// Sends that were stored, and whose owner has had no answer.
    private var unacknowledged: [ConversationKey: Set<CheckedSend>] = [:]
    private(set) var violation: String?
    private let limits: ChatLimits

    init(limits: ChatLimits) {
        self.limits = limits
    }

    var messageCount: Int { self.histories.values.reduce(0) { $0 + $1.head } }

    /// Notes the first thing that went wrong.
    mutating func expect(_ isSo: Bool, _ why: @autoclosure () -> String) {
        if !isSo, self.violation == nil { self.violation = why() }
    }

    func history(of conversation: ConversationKey) -> ConversationHistory {
        self.histories[conversation] ?? ConversationHistory()
    }

    // MARK: The store

    /// - Parameter isHeard: whether the owner hears that it is stored.
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
        // What is written again keeps its time, and may stand behind what another master let in later.
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

    /// The store has lost what came after this: it is to be there again, with the numbers under which anybody has seen it.
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

    /// From here on there are two masters, and who hears of one may have heard of the other.
    mutating func splitMasters() {
        for key in self.histories.keys { self.histories[key]!.hasLostCursors = true }
        self.otherHistories = self.histories
    }

    /// What one was told has come to nothing; it may have been answered and shown.
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
            // What was asked and told does not depend on who was told to store it.
            past.deletionRequests = asked[key]?.deletionRequests ?? [:]
            past.endRequests = asked[key]?.endRequests ?? 0
            past.hasLostCursors = true
            past.hasLostData = true
            self.histories[key] = past
        }
    }

    /// Every version of a message that any master was ever told.
    func versions(of sequence: SequenceNumber, in key: ConversationKey) -> [Message] {
        [self.histories[key], self.otherHistories?[key]].compactMap { $0 }.flatMap { past in
            Array(past.versions[sequence, default: [:]].values) + past.lost[sequence, default: []]
        }
    }

    /// Whether a version is of a history that has come to nothing, or may yet.
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

    /// Somebody was refused. Who asked for something alone, once, is not told that it has been done already.
    mutating func refused(_ error: ChatError, to client: SimulatedClient, askedToEnd: Bool) {
        let past = self.history(of: client.conversation)
        // A number that the history of another master has taken may have had its deletion under another one.
        if case .messageDeleted(let sequence) = error, past.deletionRequests[sequence] == 1,
            !past.rewritten.contains(sequence)
        {
            let versions = past.versions[sequence]?.values
            let isItself = versions?.first?.body.author.id == client.person.id
            // What was deleted at another master comes to this one without its words.
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

    /// Somebody was told that this message is stored.
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

    /// Somebody was told that a send has failed: one that was refused is in no history, and never comes into one.
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

    /// What somebody says on one connection is numbered as it was said, however much is on its way at once.
    mutating func checkOrder(
        _ message: Message, requested asked: UInt64, as body: MessageBody,
        of client: SimulatedClient
    ) {
        let past = self.history(of: client.conversation)
        // An id may be a repetition, whose number is older; and what was written to two masters has two orders.
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

    // MARK: Pictures

    /// A message is shown to a live listener, or replayed.
    mutating func delivered(_ message: Message, to client: SimulatedClient) {
        let past = self.history(of: client.conversation)
        let next = client.screen.through + 1
        if message.sequence != next {
            // The newest of either master decides what is kept no more.
            let oldest = max(past.oldest, self.otherHistories?[client.conversation]?.oldest ?? 0)
            let isDropped = message.sequence > next && oldest >= message.sequence
            // What was shown before this connection came may have been of another master.
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

    /// What two masters gave one number are two messages, with two times: neither is a version of the other.
    private func areOfTwoMasters(_ one: Message, _ other: Message, _ past: ConversationHistory)
        -> Bool
    {
        one.sentAt != other.sentAt && self.mayBeOfTwoMasters(past)
    }

    private func mayBeOfTwoMasters(_ past: ConversationHistory) -> Bool {
        self.otherHistories != nil || past.hasLostData
    }

    /// A message is on the screen, newly or again: it may be newer than what stood there, never older.
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
            // What both masters have done, each under its own revision.
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
            // The same word reaches several connections, some of them late; a second one comes much later.
            let told = StatusReport(author: client.person.id, sequence: sequence, status: status)
            let first = self.histories[client.conversation]?.firstStatusReports[told] ?? now
            self.histories[client.conversation]?.firstStatusReports[told] = first
            self.expect(
                now - first < 5000,
                "\(client.name) was told that \(sequence) is \(status), \(now - first) ms after the first time"
            )
        }
    }

    /// At the end, when all is quiet, every picture is the stored one.
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

    /// Every send that was answered is in the history that is left, once; unless its owner has died with what it held, or never heard that
    /// it was stored, so that only the storing step itself has answered it, and the store has forgotten it then.
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

    /// Every message is shown as the store has it.
    mutating func compareMessages(_ client: SimulatedClient, with page: MessagePage) {
        let picture = client.screen
        self.expect(
            picture.through == page.head,
            "\(client.name) was shown \(picture.through) messages of \(page.head)")
        for message in page.messages {
            guard let shown = picture.messages[message.sequence] else { continue }
            // What a master that is no more had under this number is the same to the eye, where only its revision is another.
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
    /// Whether both are one message, whatever became of its words.
    func isSameMessage(as other: Message) -> Bool {
        self.sequence == other.sequence && self.sentAt == other.sentAt
            && self.body.author.id == other.body.author.id
            && self.body.clientMessageID == other.body.clientMessageID
    }
}

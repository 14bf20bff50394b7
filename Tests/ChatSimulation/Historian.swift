import ChatModel

/// Knows what was stored, and holds every picture and every answer against it.
///
/// The rules are the promises of the design, each in the words of what went wrong.
struct Historian {
    struct Past {
        /// Every version of every message, by number and revision.
        var versions: [SequenceNumber: [Revision: Message]] = [:]
        var head: SequenceNumber = 0
        /// Where the history began last: a page may have been read before the store forgot what came after.
        var oldest: SequenceNumber = 1
        /// The messages that a user's send under an id has made.
        var sends: [Send: [SequenceNumber]] = [:]
        var contents: Set<String> = []
        /// An owner was replaced, or a member left: its cursors may be lost, and what they told is told again.
        var hasLostCursors = false
        var ended: Bool = false
        /// What the store had once and lost: it may be shown while it is written again.
        var forgotten: [SequenceNumber: [Message]] = [:]
        /// Numbers that stood for another message before: who has seen that goes back to them.
        var rewritten: Set<SequenceNumber> = []
        /// Who wrote what a send has made.
        var writers: [Send: OwnerID] = [:]
        /// The sends that were answered, with the numbers that were told.
        var answered: [Send: SequenceNumber] = [:]
        var hasForgotten = false
        /// How often a deletion of a message was asked for, and an end.
        var deletionsAsked: [SequenceNumber: Int] = [:]
        var endsAsked = 0
        /// When somebody was first told how far a message has come.
        var told: [Told: Int64] = [:]
    }

    struct Send: Hashable {
        let user: UserID
        let client: ClientID
    }

    struct Told: Hashable {
        let author: UserID
        let sequence: SequenceNumber
        let status: MessageStatus
    }

    private(set) var pasts: [ConversationKey: Past] = [:]
    /// While there are two masters: what the other one was told.
    private var others: [ConversationKey: Past]?
    /// What senders were told is not stored and never will be. No two sends have the same words.
    private var refused: [ConversationKey: Set<String>] = [:]
    /// Sends that were stored, and whose owner has had no answer.
    private var unheard: [ConversationKey: Set<Send>] = [:]
    private(set) var violation: String?
    private let limits: ChatLimits

    init(limits: ChatLimits) {
        self.limits = limits
    }

    var messageCount: Int { self.pasts.values.reduce(0) { $0 + $1.head } }

    /// Notes the first thing that went wrong.
    mutating func expect(_ isSo: Bool, _ why: @autoclosure () -> String) {
        if !isSo, self.violation == nil { self.violation = why() }
    }

    func past(of conversation: ConversationKey) -> Past { self.pasts[conversation] ?? Past() }

    // MARK: The store

    /// - Parameter isHeard: whether the owner hears that it is stored.
    mutating func stored(_ write: Write, by owner: OwnerID, onOther: Bool, isHeard: Bool) {
        if !isHeard, case .message(let message) = write.change, let client = message.body.clientID {
            self.unheard[write.conversation, default: []].insert(Send(user: message.body.author.id, client: client))
        }
        if onOther { self.changeSides() }
        defer { if onOther { self.changeSides() } }
        let key = write.conversation
        switch write.change {
        case .message(let message):
            self.stored(message, by: owner, in: key)
        case .amend(let message, _):
            let known = self.pasts[key]?.versions[message.sequence]
            let isDeleted = known?.values.contains { $0.state == .deleted } ?? false
            let isAgain = self.past(of: key).hasForgotten
            self.expect(!isDeleted || isAgain, "\(key): message \(message.sequence) was changed after its deletion")
            self.pasts[key]?.versions[message.sequence, default: [:]][write.revision] = message
        case .end:
            self.pasts[key, default: Past()].ended = true
        case .remove:
            self.pasts[key, default: Past()].hasLostCursors = true
        case .create, .member, .cursors, .skip:
            break
        }
    }

    private mutating func changeSides() {
        guard let others = self.others else { return }
        self.others = self.pasts
        self.pasts = others
    }

    private mutating func stored(_ message: Message, by owner: OwnerID, in key: ConversationKey) {
        var past = self.past(of: key)
        self.expect(message.sequence == past.head + 1, "\(key): message \(message.sequence) was stored behind \(past.head)")
        // What is written again keeps its time, and may stand behind what another master let in later.
        if let before = past.versions[past.head]?.values.first, !self.mayBeOfTwoMasters(past) {
            self.expect(before.sentAt <= message.sentAt, "\(key): message \(message.sequence) was sent before its predecessor")
        }
        self.expect(!past.ended || self.mayBeOfTwoMasters(past), "\(key): message \(message.sequence) was stored after the end")
        self.expect(
            self.refused[key]?.contains(message.body.content) != true,
            "\(key): \"\(message.body.content)\" was stored after its sender was told that it never will be")
        let isRepeated = message.state != .deleted && !past.contents.insert(message.body.content).inserted
        self.expect(!isRepeated, "\(key): \"\(message.body.content)\" was stored twice")
        past.head = message.sequence
        if self.limits.history > 0 { past.oldest = max(past.oldest, past.head - self.limits.history + 1) }
        past.versions[message.sequence] = [message.revision: message]
        if let lost = past.forgotten[message.sequence], !lost.allSatisfy({ $0.isSame(as: message) }) {
            past.rewritten.insert(message.sequence)
        }
        if let client = message.body.clientID {
            let send = Send(user: message.body.author.id, client: client)
            if let last = past.sends[send]?.last {
                let window = self.limits.history > 0 ? min(self.limits.history, self.limits.recentMessages) : self.limits.recentMessages
                self.expect(
                    message.sequence - last > window,
                    "\(key): a send of \(send.user) made message \(last) and, while that was remembered, \(message.sequence)")
            }
            past.sends[send, default: []].append(message.sequence)
            past.writers[send] = owner
        }
        self.pasts[key] = past
    }

    /// The store has lost what came after this: it is to be there again, with the numbers under which anybody has seen it.
    mutating func forgot(_ key: ConversationKey, down loaded: LoadedConversation?) {
        var past = self.past(of: key)
        let head = loaded?.head ?? 0
        for sequence in past.versions.keys where sequence > head {
            for version in past.versions[sequence]!.values { past.contents.remove(version.body.content) }
            past.forgotten[sequence, default: []] += past.versions[sequence]!.values
            past.versions[sequence] = nil
        }
        for send in past.sends.keys { past.sends[send]?.removeAll { $0 > head } }
        past.sends = past.sends.filter { !$0.value.isEmpty }
        past.head = min(past.head, head)
        past.ended = loaded?.record.endedAt != nil
        past.hasLostCursors = true
        past.hasForgotten = true
        self.pasts[key] = past
    }

    mutating func fenced(_ conversation: ConversationKey) {
        self.pasts[conversation, default: Past()].hasLostCursors = true
    }

    /// From here on there are two masters, and who hears of one may have heard of the other.
    mutating func split() {
        for key in self.pasts.keys { self.pasts[key]!.hasLostCursors = true }
        self.others = self.pasts
    }

    /// What one was told has come to nothing; it may have been answered and shown.
    mutating func unite(keepingOther: Bool) {
        guard let others = self.others else { return }
        let (kept, lost) = keepingOther ? (others, self.pasts) : (self.pasts, others)
        let asked = self.pasts
        self.pasts = kept
        self.others = nil
        for (key, lost) in lost {
            var past = self.past(of: key)
            for (sequence, versions) in lost.versions {
                let gone = versions.values.filter { version in
                    let same = past.versions[sequence]?[version.revision]
                    return same.map { !$0.isSame(as: version) || $0.body.content != version.body.content } ?? true
                }
                guard !gone.isEmpty else { continue }
                past.forgotten[sequence, default: []] += gone
                if let there = past.versions[sequence]?.values.first, !gone.allSatisfy({ $0.isSame(as: there) }) {
                    past.rewritten.insert(sequence)
                }
            }
            for (sequence, versions) in lost.forgotten { past.forgotten[sequence, default: []] += versions }
            past.rewritten.formUnion(lost.rewritten)
            past.writers.merge(lost.writers) { mine, _ in mine }
            past.answered.merge(lost.answered) { mine, _ in mine }
            // What was asked and told does not depend on who was told to store it.
            past.deletionsAsked = asked[key]?.deletionsAsked ?? [:]
            past.endsAsked = asked[key]?.endsAsked ?? 0
            past.hasLostCursors = true
            past.hasForgotten = true
            self.pasts[key] = past
        }
    }

    /// Every version of a message that any master was ever told.
    func versions(of sequence: SequenceNumber, in key: ConversationKey) -> [Message] {
        [self.pasts[key], self.others?[key]].compactMap { $0 }.flatMap { past in
            Array(past.versions[sequence, default: [:]].values) + past.forgotten[sequence, default: []]
        }
    }

    /// Whether a version is of a history that has come to nothing, or may yet.
    private func isInDoubt(_ message: Message, in key: ConversationKey) -> Bool {
        if self.others != nil { return true }
        guard let kept = self.past(of: key).versions[message.sequence]?[message.revision] else { return true }
        return !kept.isSame(as: message) || kept.body.content != message.body.content
    }

    // MARK: Answers

    mutating func asked(_ command: ChatCommand, in conversation: ConversationKey) {
        switch command {
        case .delete(let sequence, _): self.pasts[conversation, default: Past()].deletionsAsked[sequence, default: 0] += 1
        case .end: self.pasts[conversation, default: Past()].endsAsked += 1
        default: break
        }
    }

    /// Somebody was refused. Who asked for something alone, once, is not told that it has been done already.
    mutating func refused(_ error: ChatError, to client: SimulatedClient, askedToEnd: Bool) {
        let past = self.past(of: client.conversation)
        // A number that the history of another master has taken may have had its deletion under another one.
        if case .messageDeleted(let sequence) = error, past.deletionsAsked[sequence] == 1, !past.rewritten.contains(sequence) {
            let versions = past.versions[sequence]?.values
            let isItself = versions?.first?.body.author.id == client.person.id
            // What was deleted at another master comes to this one without its words.
            let hadWords = versions?.contains { $0.state != .deleted } ?? false
            self.expect(
                !isItself || !hadWords || client.hasEdited.contains(sequence),
                "\(client.name) deleted \(sequence), and was told that it is deleted")
        }
        if error == .conversationEnded, askedToEnd {
            self.expect(past.endsAsked > 1, "\(client.name) ended the conversation, and was told that it has ended")
        }
    }

    /// Somebody was told that this message is stored.
    mutating func answered(_ message: Message, to body: MessageBody, of client: SimulatedClient) {
        let past = self.past(of: client.conversation)
        let stored = self.versions(of: message.sequence, in: client.conversation).filter { $0.revision == message.revision }
        self.expect(!stored.isEmpty, "\(client.name) was answered with message \(message.sequence), which is not stored")
        guard !stored.isEmpty else { return }
        if let id = message.body.clientID {
            self.pasts[client.conversation]?.answered[Send(user: message.body.author.id, client: id)] = message.sequence
        }
        self.expect(
            stored.contains { $0.body.author.id == body.author.id && $0.sentAt == message.sentAt },
            "\(client.name) was answered with message \(message.sequence), which is not its own")
        if let id = body.clientID {
            let made = self.past(of: client.conversation).sends[Send(user: body.author.id, client: id)] ?? []
            self.expect(
                past.hasForgotten || self.others != nil || made.contains(message.sequence),
                "\(client.name) was answered with message \(message.sequence), which another send made")
        } else {
            self.expect(
                message.body.content == body.content || message.state != .asSent,
                "\(client.name) was answered with message \(message.sequence), which has other words")
        }
    }

    /// Somebody was told that a send has failed: one that was refused is in no history, and never comes into one.
    mutating func failed(_ error: ChatError, _ body: MessageBody, of client: SimulatedClient) {
        guard error.outcome == .refused else { return }
        let stored = [self.pasts[client.conversation], self.others?[client.conversation]].compactMap { $0 }
        self.expect(
            !stored.contains { $0.contents.contains(body.content) },
            "\(client.name) was told that \"\(body.content)\" is not stored, and it is")
        self.refused[client.conversation, default: []].insert(body.content)
    }

    /// What somebody says on one connection is numbered as it was said, however much is on its way at once.
    mutating func ordered(_ message: Message, asked: UInt64, as body: MessageBody, of client: SimulatedClient) {
        let past = self.past(of: client.conversation)
        // An id may be a repetition, whose number is older; and what was written to two masters has two orders.
        guard body.clientID == nil, message.body.content == body.content, self.others == nil, !past.hasForgotten else { return }
        for other in client.answeredSends {
            self.expect(
                (other.asked < asked) == (other.sequence < message.sequence),
                "\(client.name) sent messages \(other.sequence) and \(message.sequence) the other way round")
        }
        client.answeredSends.append((asked, message.sequence))
    }

    // MARK: Pictures

    /// A message is shown to a live listener, or replayed.
    mutating func shown(_ message: Message, to client: SimulatedClient) {
        let past = self.past(of: client.conversation)
        let next = client.picture.through + 1
        if message.sequence != next {
            // The newest of either master decides what is kept no more.
            let oldest = max(past.oldest, self.others?[client.conversation]?.oldest ?? 0)
            let isDropped = message.sequence > next && oldest >= message.sequence
            // What was shown before this connection came may have been of another master.
            let isAnother =
                client.picture.shown[message.sequence].map { self.areOfTwoMasters($0, message, past) } ?? self.mayBeOfTwoMasters(past)
            let isRewritten = message.sequence < next && (past.rewritten.contains(message.sequence) || isAnother)
            self.expect(isDropped || isRewritten, "\(client.name) was shown message \(message.sequence) where \(next) was next")
        }
        client.picture.through = message.sequence
        client.picture.shown[message.sequence] = message
        client.lastSeen = message.sequence
        self.look(at: message, by: client)
    }

    /// What two masters gave one number are two messages, with two times: neither is a version of the other.
    private func areOfTwoMasters(_ one: Message, _ other: Message, _ past: Past) -> Bool {
        one.sentAt != other.sentAt && self.mayBeOfTwoMasters(past)
    }

    private func mayBeOfTwoMasters(_ past: Past) -> Bool {
        self.others != nil || past.hasForgotten
    }

    /// A message is on the screen, newly or again: it may be newer than what stood there, never older.
    mutating func look(at message: Message, by client: SimulatedClient) {
        let stored = self.versions(of: message.sequence, in: client.conversation)
        self.expect(
            stored.contains {
                $0.revision == message.revision && $0.body.content == message.body.content && $0.state == message.state
            },
            "\(client.name) was shown message \(message.sequence) in a version \(message.revision) that is not stored")
        let known = client.picture.messages[message.sequence] ?? client.picture.amended[message.sequence]
        if let known {
            // What both masters have done, each under its own revision.
            let past = self.past(of: client.conversation)
            let looksTheSame = known.state == message.state && known.body.content == message.body.content
            self.expect(
                known.revision <= message.revision || self.isInDoubt(known, in: client.conversation)
                    || self.areOfTwoMasters(known, message, past) || looksTheSame && self.mayBeOfTwoMasters(past),
                "\(client.name) was shown message \(message.sequence) \(message.state) (\(message.revision)) after it was \(known.state) (\(known.revision))"
            )
        }
        if message.sequence <= client.picture.through { client.picture.messages[message.sequence] = message }
    }

    mutating func amended(_ message: Message, for client: SimulatedClient) {
        if client.picture.messages[message.sequence] != nil {
            self.look(at: message, by: client)
        } else {
            client.picture.amended[message.sequence] = message
        }
    }

    mutating func status(_ status: MessageStatus, of sequences: [SequenceNumber], for client: SimulatedClient, at now: Int64) {
        for sequence in sequences {
            let isOwn = self.versions(of: sequence, in: client.conversation).contains { $0.body.author.id == client.person.id }
            self.expect(isOwn, "\(client.name) was told of the status of \(sequence), which is not its own")
            if self.past(of: client.conversation).hasLostCursors { continue }
            if status == .delivered {
                self.expect(
                    !client.picture.read.contains(sequence), "\(client.name) was told that \(sequence) is delivered after it was read")
                self.expect(
                    client.picture.delivered.insert(sequence).inserted, "\(client.name) was told twice that \(sequence) is delivered")
            } else {
                self.expect(client.picture.read.insert(sequence).inserted, "\(client.name) was told twice that \(sequence) is read")
            }
            // The same word reaches several connections, some of them late; a second one comes much later.
            let told = Told(author: client.person.id, sequence: sequence, status: status)
            let first = self.pasts[client.conversation]?.told[told] ?? now
            self.pasts[client.conversation]?.told[told] = first
            self.expect(now - first < 5000, "\(client.name) was told that \(sequence) is \(status), \(now - first) ms after the first time")
        }
    }

    /// At the end, when all is quiet, every picture is the stored one.
    mutating func compare(_ client: SimulatedClient, with page: Page, present: Set<UserID>) {
        self.compareMessages(client, with: page)
        let picture = client.picture
        if let crowd = picture.crowd {
            self.expect(crowd == present.count, "\(client.name) sees a crowd of \(crowd), there are \(present.count)")
        } else {
            let others = present.subtracting([client.person.id])
            self.expect(
                picture.online.subtracting([client.person.id]) == others,
                "\(client.name) sees online \(picture.online.sorted()), there are \(others.sorted())")
        }
        self.expect(picture.typists.isEmpty, "\(client.name) still sees \(picture.typists.sorted()) typing")
        self.expect(
            picture.isEnded == self.past(of: client.conversation).ended, "\(client.name) does not know whether the conversation has ended")
    }

    /// Every send that was answered is in the history that is left, once; unless its owner has died with what it held, or never heard that
    /// it was stored, so that only the storing step itself has answered it, and the store has forgotten it then.
    mutating func compareAnswers(in key: ConversationKey, with page: Page, dead: Set<OwnerID>) {
        let past = self.past(of: key)
        var counts: [Send: Int] = [:]
        for message in page.messages {
            guard let id = message.body.clientID else { continue }
            counts[Send(user: message.body.author.id, client: id), default: 0] += 1
        }
        for (send, sequence) in past.answered.sorted(by: { $0.value < $1.value }) where sequence >= page.oldest {
            let isUnheard = past.hasForgotten && self.unheard[key]?.contains(send) == true
            let isLost = isUnheard || past.writers[send].map { dead.contains($0) } ?? false
            let count = counts[send] ?? 0
            let window = self.limits.history > 0 ? min(self.limits.history, self.limits.recentMessages) : self.limits.recentMessages
            self.expect(
                count == 1 || count == 0 && isLost || count > 1 && page.messages.count > window,
                "\(key): message \(sequence) was answered to \(send.user), and is stored \(count) times in the end")
        }
    }

    /// Every message is shown as the store has it.
    mutating func compareMessages(_ client: SimulatedClient, with page: Page) {
        let picture = client.picture
        self.expect(picture.through == page.head, "\(client.name) was shown \(picture.through) messages of \(page.head)")
        for message in page.messages {
            guard let shown = picture.messages[message.sequence] else { continue }
            // What a master that is no more had under this number is the same to the eye, where only its revision is another.
            let isSameToSee =
                shown.isSame(as: message) && shown.state == message.state && shown.body.content == message.body.content
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
    func isSame(as other: Message) -> Bool {
        self.sequence == other.sequence && self.sentAt == other.sentAt && self.body.author.id == other.body.author.id
            && self.body.clientID == other.body.clientID
    }
}

import ChatModel

/// Knows what was stored, and holds every picture and every answer against it.
///
/// The rules are the promises of the design, each in the words of what went wrong.
struct Historian {
    struct Past {
        /// Every version of every message, by number and revision.
        var versions: [SequenceNumber: [Revision: Message]] = [:]
        var head: SequenceNumber = 0
        var oldest: SequenceNumber = 1
        /// The messages that a user's send under an id has made.
        var sends: [Send: [SequenceNumber]] = [:]
        var contents: Set<String> = []
        /// An owner was replaced, or a member left: its cursors may be lost, and what they told is told again.
        var hasLostCursors = false
        var ended: Bool = false
        /// What the store had once and lost: it may be shown while it is written again.
        var forgotten: [SequenceNumber: [Revision: Message]] = [:]
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

    mutating func stored(_ write: Write) {
        let key = write.conversation
        switch write.change {
        case .message(let message):
            self.stored(message, in: key)
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

    private mutating func stored(_ message: Message, in key: ConversationKey) {
        var past = self.past(of: key)
        self.expect(message.sequence == past.head + 1, "\(key): message \(message.sequence) was stored behind \(past.head)")
        if let before = past.versions[past.head]?.values.first {
            self.expect(before.sentAt <= message.sentAt, "\(key): message \(message.sequence) was sent before its predecessor")
        }
        self.expect(!past.ended, "\(key): message \(message.sequence) was stored after the end")
        self.expect(past.contents.insert(message.body.content).inserted, "\(key): \"\(message.body.content)\" was stored twice")
        past.head = message.sequence
        if self.limits.history > 0 { past.oldest = max(1, past.head - self.limits.history + 1) }
        past.versions[message.sequence] = [message.revision: message]
        if let client = message.body.clientID {
            let send = Send(user: message.body.author.id, client: client)
            if let last = past.sends[send]?.last {
                let window = self.limits.history > 0 ? min(self.limits.history, self.limits.recentMessages) : self.limits.recentMessages
                self.expect(
                    message.sequence - last > window,
                    "\(key): a send of \(send.user) made message \(last) and, while that was remembered, \(message.sequence)")
            }
            past.sends[send, default: []].append(message.sequence)
        }
        self.pasts[key] = past
    }

    /// The store has lost what came after this: it is to be there again, with the numbers under which anybody has seen it.
    mutating func forgot(_ key: ConversationKey, down loaded: LoadedConversation?) {
        var past = self.past(of: key)
        let head = loaded?.head ?? 0
        for sequence in past.versions.keys where sequence > head {
            for version in past.versions[sequence]!.values { past.contents.remove(version.body.content) }
            past.forgotten[sequence] = past.versions[sequence]
            past.versions[sequence] = nil
        }
        for send in past.sends.keys { past.sends[send]?.removeAll { $0 > head } }
        past.sends = past.sends.filter { !$0.value.isEmpty }
        past.head = min(past.head, head)
        past.oldest = self.limits.history > 0 ? max(1, past.head - self.limits.history + 1) : 1
        past.ended = loaded?.record.endedAt != nil
        past.hasLostCursors = true
        past.hasForgotten = true
        self.pasts[key] = past
    }

    mutating func fenced(_ conversation: ConversationKey) {
        self.pasts[conversation, default: Past()].hasLostCursors = true
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
        if case .messageDeleted(let sequence) = error, past.deletionsAsked[sequence] == 1 {
            let isItself = past.versions[sequence]?.values.first?.body.author.id == client.person.id
            self.expect(
                !isItself || client.hasEdited.contains(sequence), "\(client.name) deleted \(sequence), and was told that it is deleted")
        }
        if error == .conversationEnded, askedToEnd {
            self.expect(past.endsAsked > 1, "\(client.name) ended the conversation, and was told that it has ended")
        }
    }

    /// Somebody was told that this message is stored.
    mutating func answered(_ message: Message, to body: MessageBody, of client: SimulatedClient) {
        let past = self.past(of: client.conversation)
        let stored = past.versions[message.sequence]?[message.revision] ?? past.forgotten[message.sequence]?[message.revision]
        self.expect(stored != nil, "\(client.name) was answered with message \(message.sequence), which is not stored")
        guard let stored else { return }
        self.expect(
            stored.body.author.id == body.author.id && stored.sentAt == message.sentAt,
            "\(client.name) was answered with message \(message.sequence), which is not its own")
        if let id = body.clientID {
            let made = self.past(of: client.conversation).sends[Send(user: body.author.id, client: id)] ?? []
            self.expect(
                past.hasForgotten || made.contains(message.sequence),
                "\(client.name) was answered with message \(message.sequence), which another send made")
        } else {
            self.expect(
                message.body.content == body.content || message.state != .asSent,
                "\(client.name) was answered with message \(message.sequence), which has other words")
        }
    }

    // MARK: Pictures

    /// A message is shown to a live listener, or replayed.
    mutating func shown(_ message: Message, to client: SimulatedClient) {
        let past = self.past(of: client.conversation)
        let next = client.picture.through + 1
        if message.sequence != next {
            let isDropped = message.sequence > next && past.oldest >= message.sequence
            self.expect(isDropped, "\(client.name) was shown message \(message.sequence) where \(next) was next")
        }
        client.picture.through = message.sequence
        client.lastSeen = message.sequence
        self.look(at: message, by: client)
    }

    /// A message is on the screen, newly or again: it may be newer than what stood there, never older.
    mutating func look(at message: Message, by client: SimulatedClient) {
        let past = self.past(of: client.conversation)
        let stored = past.versions[message.sequence]?[message.revision] ?? past.forgotten[message.sequence]?[message.revision]
        self.expect(
            stored?.body.content == message.body.content && stored?.state == message.state,
            "\(client.name) was shown message \(message.sequence) in a version \(message.revision) that is not stored")
        let known = client.picture.messages[message.sequence] ?? client.picture.amended[message.sequence]
        if let known {
            self.expect(
                known.revision <= message.revision,
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
            let past = self.past(of: client.conversation)
            let author = (past.versions[sequence] ?? past.forgotten[sequence])?.values.first?.body.author.id
            self.expect(author == client.person.id, "\(client.name) was told of the status of \(sequence), which is not its own")
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

    /// Every message is shown as the store has it.
    mutating func compareMessages(_ client: SimulatedClient, with page: Page) {
        let picture = client.picture
        self.expect(picture.through == page.head, "\(client.name) was shown \(picture.through) messages of \(page.head)")
        for message in page.messages {
            guard let shown = picture.messages[message.sequence] else { continue }
            self.expect(
                shown.revision == message.revision,
                "\(client.name) still sees message \(message.sequence) as \(shown.state) (\(shown.revision)), it is \(message.state) (\(message.revision))"
            )
        }
    }
}

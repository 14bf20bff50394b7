import Bytes
import ChatModel

extension Conversation {
    mutating func post(_ body: MessageBody, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]) throws(ChatError)
    {
        if self.isInbox, self.standing == .missing {
            guard !self.isStoreAway else { throw .unavailable }
            self.make(ConversationRecord(access: .closed, kind: .inbox, creator: nil, createdAt: now.wall), into: &effects)
        }
        guard self.standing != .missing else { throw .noSuchConversation }
        let author = try self.author(of: body)
        let send = self.fingerprint(of: body.clientID, by: body.author.id, author)
        // Before `ended`: what was answered before the end is answered again after it.
        if send != 0, let sequence = self.recents.sequence(of: send) {
            self.repeatSend(body, of: sequence, from: origin, into: &effects)
            return
        }
        try self.number(body, author: author, send: send, from: origin, at: now, into: &effects)
    }

    /// A member; where anybody may deliver, they are one to their sends' ids, of which the stored message says whose it was.
    private mutating func author(of body: MessageBody) throws(ChatError) -> UInt32 {
        if self.isInbox { return self.anybody }
        guard let author = self.members.member(body.author.id) else { throw .notAMember }
        return author
    }

    /// What a send is known by; 0 for one without an id.
    private func fingerprint(of id: ClientID?, by user: UserID, _ author: UInt32) -> UInt64 {
        guard let id else { return 0 }
        guard self.isInbox else { return RecentMessages.fingerprint(author: author, client: id) }
        // There all share one number: their ids tell them apart.
        let hash = user.key.withBytes { StableHash.fnv1a($0) }
        return RecentMessages.fingerprint(author: UInt32(truncatingIfNeeded: hash), client: id)
    }

    /// One entry for all who are no members and may deliver: there is no end to them.
    private var anybody: UInt32 {
        mutating get {
            let nobody = UserID(key: "")
            return self.members.number(of: nobody)
                ?? self.members.insert(
                    Member(user: nobody, name: "", role: .member, joinedAt: Timestamp(milliseconds: 0)), isMember: false)
        }
    }

    private mutating func number(
        _ body: MessageBody, author: UInt32, send: UInt64, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard self.standing == .active else { throw .conversationEnded }
        guard !self.isStoreAway else { throw .unavailable }
        self.head += 1
        self.revision += 1
        // A wall clock that is set back must not put a later message before an earlier one.
        self.lastSentAt = max(now.wall.milliseconds, self.lastSentAt)
        let message = Message(sequence: self.head, revision: self.revision, sentAt: Timestamp(milliseconds: self.lastSentAt), body: body)
        self.recents.append(author: author, send: send, at: now.monotonic)
        effects.append(.write(.message(message), revision: self.revision, asked: origin))
    }

    // MARK: Repeated sends

    /// A send that seems to be the one that made this message. Its words decide: the fingerprint may deceive.
    private mutating func repeatSend(
        _ body: MessageBody, of sequence: SequenceNumber, from origin: Origin, into effects: inout [ConversationEffect]
    ) {
        if sequence <= self.storedHead {
            self.search(sequence, .repeated(body, origin), into: &effects)
        } else if !self.repeats.contains(where: { $0.origin.isSame(as: origin) }) {
            self.repeats.append(Repeat(sequence: sequence, body: body, origin: origin))
        }
    }

    /// Answers those who asked for the same message again while it was on its way.
    mutating func answerRepeats(of message: Message, at now: Moment, into effects: inout [ConversationEffect]) {
        let due = self.repeats.filter { $0.sequence <= message.sequence }
        self.repeats.removeAll { $0.sequence <= message.sequence }
        for again in due { self.settle(again.body, message, sequence: again.sequence, from: again.origin, at: now, into: &effects) }
    }

    /// Says to a repeated send what it made; if that is another's message, or there is none any more, the send goes on.
    mutating func settle(
        _ body: MessageBody, _ message: Message?, sequence: SequenceNumber, from origin: Origin, at now: Moment,
        into effects: inout [ConversationEffect]
    ) {
        if let message, message.body.author.id == body.author.id, message.body.clientID == body.clientID {
            effects.append(.answer(.posted(message), to: origin))
            return
        }
        do throws(ChatError) {
            guard self.standing != .missing else { throw .noSuchConversation }
            let author = try self.author(of: body)
            let send = self.fingerprint(of: body.clientID, by: body.author.id, author)
            // Somebody with the same repeat was first.
            if let newer = self.recents.sequence(of: send), newer > sequence {
                self.repeatSend(body, of: newer, from: origin, into: &effects)
            } else {
                try self.number(body, author: author, send: send, from: origin, at: now, into: &effects)
            }
        } catch {
            effects.append(.answer(.failed(error), to: origin))
        }
    }

    private mutating func number(ofAuthor message: RecentMessage) -> UInt32 {
        self.members.number(of: message.author)
            ?? self.members.insert(
                Member(user: message.author, name: message.author.name, role: .member, joinedAt: message.sentAt), isMember: false)
    }

    /// Whether these are the newest messages, one behind the other.
    func areNewest(_ messages: [RecentMessage]) -> Bool {
        guard let first = messages.first, let last = messages.last else { return self.storedHead == 0 }
        return last.sequence == self.storedHead && messages.count == last.sequence + 1 - first.sequence
    }

    /// What the store remembers of the newest messages, with what the cursors tell of who has had them.
    ///
    /// Of messages that are not the newest nothing is believed.
    mutating func fillRecents(_ messages: [RecentMessage], at now: Moment) {
        let messages = self.areNewest(messages) ? messages : []
        var recents = RecentMessages(next: messages.first?.sequence ?? self.storedHead + 1, limit: self.rules.limits.recentMessages)
        for message in messages {
            let author = self.isInbox ? self.anybody : self.number(ofAuthor: message)
            recents.append(
                author: author, send: self.fingerprint(of: message.clientID, by: message.author, author), at: now.monotonic)
            self.lastSentAt = max(self.lastSentAt, message.sentAt.milliseconds)
        }
        // Who has had which message is kept as cursors only: the two highest tell of every author whether another has it.
        var (delivered, read) = (HighestCursors<UInt32>(), HighestCursors<UInt32>())
        for number in 0..<UInt32(self.members.count) {
            delivered.note(self.members[number].member.deliveredCursor, of: number)
            read.note(self.members[number].member.readCursor, of: number)
        }
        for sequence in recents.range {
            guard let author = recents.author(of: sequence) else { continue }
            if delivered.highest(but: author) >= sequence { recents.mark(sequence, .delivered) }
            if read.highest(but: author) >= sequence { recents.mark(sequence, .read) }
        }
        self.recents = recents
    }
}

import Bytes
import ChatModel

extension Conversation {
    mutating func post(
        _ body: MessageBody, from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        if self.isInbox, self.lifecycle == .missing {
            guard !self.areWritesUnavailable else { throw .unavailable }
            self.writeCreation(
                ConversationRecord(
                    joinPolicy: .closed, kind: .inbox, creator: nil, createdAt: now.wall),
                into: &effects)
        }
        guard self.lifecycle != .missing else { throw .noSuchConversation }
        let author = try self.author(of: body)
        let send = self.fingerprint(of: body.clientMessageID, by: body.author.id, author: author)
        // Before `ended`: what was answered before the end is answered again after it.
        if send != 0, let sequence = self.recents.sequence(of: send) {
            self.handleRepeatedSend(body, of: sequence, from: origin, into: &effects)
            return
        }
        try self.assignNumber(
            to: body, author: author, fingerprint: send, from: origin, at: now, into: &effects)
    }

    /// A member; where anybody may deliver, they are one to their sends' ids, of which the stored message says whose it was.
    private mutating func author(of body: MessageBody) throws(ChatError) -> UInt32 {
        if self.isInbox { return self.sharedAuthor }
        guard let author = self.members.memberNumber(of: body.author.id) else { throw .notAMember }
        return author
    }

    /// What a send is known by; 0 for one without an id.
    private func fingerprint(of id: ClientMessageID?, by user: UserID, author: UInt32) -> UInt64 {
        guard let id else { return 0 }
        guard self.isInbox else {
            return RecentMessages.fingerprint(author: author, clientMessageID: id)
        }
        // There all share one number: their ids tell them apart.
        let hash = user.storageKey.withBytes { StableHash.fnv1a($0) }
        return RecentMessages.fingerprint(
            author: UInt32(truncatingIfNeeded: hash), clientMessageID: id)
    }

    /// One entry for all who are no members and may deliver: there is no end to them.
    private var sharedAuthor: UInt32 {
        mutating get {
            let nobody = UserID(storageKey: "")
            return self.members.number(of: nobody)
                ?? self.members.insert(
                    Member(
                        user: nobody, name: "", role: .member, joinedAt: Timestamp(milliseconds: 0)),
                    isMember: false)
        }
    }

    private mutating func assignNumber(
        to body: MessageBody, author: UInt32, fingerprint send: UInt64, from origin: RequestOrigin,
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard self.lifecycle == .active else { throw .conversationEnded }
        guard !self.areWritesUnavailable else { throw .unavailable }
        self.head += 1
        self.revision += 1
        // A wall clock that is set back must not put a later message before an earlier one.
        self.lastSentAt = max(now.wall.milliseconds, self.lastSentAt)
        let message = Message(
            sequence: self.head, revision: self.revision,
            sentAt: Timestamp(milliseconds: self.lastSentAt), body: body)
        self.recents.append(author: author, fingerprint: send, at: now.monotonic)
        effects.append(.write(.message(message), revision: self.revision, origin: origin))
    }

    // MARK: Repeated sends

    /// A send that seems to be the one that made this message. Its words decide: the fingerprint may deceive.
    private mutating func handleRepeatedSend(
        _ body: MessageBody, of sequence: SequenceNumber, from origin: RequestOrigin,
        into effects: inout [ConversationEffect]
    ) {
        if sequence <= self.storedHead {
            self.lookUp(sequence, .repeatedSend(body, origin), into: &effects)
        } else if !self.repeatedSends.contains(where: { $0.origin.isSame(as: origin) }) {
            self.repeatedSends.append(RepeatedSend(sequence: sequence, body: body, origin: origin))
        }
    }

    /// Answers those who asked for the same message again while it was on its way.
    mutating func answerRepeatedSends(
        of message: Message, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        let due = self.repeatedSends.filter { $0.sequence <= message.sequence }
        self.repeatedSends.removeAll { $0.sequence <= message.sequence }
        for again in due {
            self.answerRepeatedSend(
                again.body, message, sequence: again.sequence, from: again.origin, at: now,
                into: &effects)
        }
    }

    /// Says to a repeated send what it made; if that is another's message, or there is none any more, the send goes on.
    mutating func answerRepeatedSend(
        _ body: MessageBody, _ message: Message?, sequence: SequenceNumber,
        from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        if let message, message.body.author.id == body.author.id,
            message.body.clientMessageID == body.clientMessageID
        {
            effects.append(.answer(.posted(message), to: origin))
            return
        }
        do throws(ChatError) {
            guard self.lifecycle != .missing else { throw .noSuchConversation }
            let author = try self.author(of: body)
            let send = self.fingerprint(
                of: body.clientMessageID, by: body.author.id, author: author)
            // Somebody with the same repeat was first.
            if let newer = self.recents.sequence(of: send), newer > sequence {
                self.handleRepeatedSend(body, of: newer, from: origin, into: &effects)
            } else {
                try self.assignNumber(
                    to: body, author: author, fingerprint: send, from: origin, at: now,
                    into: &effects)
            }
        } catch {
            effects.append(.answer(.failed(error), to: origin))
        }
    }

    private mutating func memberNumber(ofAuthor message: RecentMessage) -> UInt32 {
        self.members.number(of: message.author)
            ?? self.members.insert(
                Member(
                    user: message.author, name: message.author.name, role: .member,
                    joinedAt: message.sentAt), isMember: false)
    }

    /// Whether these are the newest messages, one behind the other.
    func areNewest(_ messages: [RecentMessage]) -> Bool {
        guard let first = messages.first, let last = messages.last else {
            return self.storedHead == 0
        }
        return last.sequence == self.storedHead
            && messages.count == last.sequence + 1 - first.sequence
    }

    /// What the store remembers of the newest messages, with what the cursors tell of who has had them.
    ///
    /// Of messages that are not the newest nothing is believed.
    mutating func fillRecents(_ messages: [RecentMessage], at now: ClockReading) {
        let messages = self.areNewest(messages) ? messages : []
        var recents = RecentMessages(
            next: messages.first?.sequence ?? self.storedHead + 1,
            limit: self.rules.limits.recentMessages)
        for message in messages {
            let author = self.isInbox ? self.sharedAuthor : self.memberNumber(ofAuthor: message)
            recents.append(
                author: author,
                fingerprint: self.fingerprint(
                    of: message.clientMessageID, by: message.author, author: author),
                at: now.monotonic)
            self.lastSentAt = max(self.lastSentAt, message.sentAt.milliseconds)
        }
        // Who has had which message is kept as cursors only: the two highest tell of every author whether another has it.
        var (delivered, read) = (HighestCursors<UInt32>(), HighestCursors<UInt32>())
        for number in 0..<UInt32(self.members.count) {
            delivered.record(self.members[number].member.deliveredCursor, of: number)
            read.record(self.members[number].member.readCursor, of: number)
        }
        for sequence in recents.range {
            guard let author = recents.author(of: sequence) else { continue }
            if delivered.highest(excluding: author) >= sequence {
                recents.mark(sequence, .delivered)
            }
            if read.highest(excluding: author) >= sequence { recents.mark(sequence, .read) }
        }
        self.recents = recents
    }
}

import Bytes
import ChatModel

extension Conversation {
    mutating func post(
        _ body: MessageBody, from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        if self.isInbox, self.lifecycle == .missing {
            guard !self.areWritesUnavailable else { throw self.unavailability }
            self.writeCreation(
                ConversationRecord(.inbox, creator: nil, createdAt: now.wall), into: &effects)
        }
        guard self.lifecycle != .missing else { throw .noSuchConversation }
        let author = try self.author(of: body)
        let fingerprint = self.fingerprint(
            of: body.clientMessageID, by: body.author.id, author: author)
        // Before the check for the end: a send that was answered before the end gets the same
        // answer after it.
        if fingerprint != 0, let sequence = self.recents.sequence(of: fingerprint) {
            self.handleRepeatedSend(body, of: sequence, from: origin, into: &effects)
            return
        }
        try self.admitSend(by: author, from: origin, at: now)
        try self.assignNumber(
            to: body, author: author, fingerprint: fingerprint, from: origin, at: now,
            into: &effects)
    }

    /// The author's number in the member table. In an inbox all authors share one number, and the
    /// stored message tells which user it was.
    private mutating func author(of body: MessageBody) throws(ChatError) -> UInt32 {
        if self.isInbox { return self.sharedAuthor }
        let user = body.author.id
        let author =
            user.isClaimed
            ? self.claimedAuthor(body.author) : self.members.memberNumber(of: user)
        guard let author else {
            throw self.refusal(self.refusalOfNonMember) { $0.isDeparture(of: user) }
        }
        return author
    }

    /// The number of an author that only claims the name of a guest. It may speak in an open
    /// conversation with a guest of this name, as another guest without rights.
    private mutating func claimedAuthor(_ author: Person) -> UInt32? {
        guard self.record?.joinPolicy == .open,
            !self.members.memberNumbers(lookingLike: author.id).isEmpty
        else { return nil }
        return self.members.number(of: author.id)
            ?? self.members.insert(
                Member(
                    user: author.id, name: author.name, role: .member,
                    joinedAt: Timestamp(milliseconds: 0)), isMember: false)
    }

    /// The refusal of a send because of a change. While the change is in flight, the send is to be
    /// repeated: a change that is not stored refuses nothing, and a refused send is never stored.
    private func refusal(_ error: ChatError, because isCause: (PendingChange) -> Bool) -> ChatError
    {
        self.pendingChanges.contains(where: isCause) ? .unavailable : error
    }

    /// The fingerprint of a send; 0 for a send without an id.
    // Inlined: a call would copy the conversation, which is a large value.
    @inline(__always)
    private func fingerprint(of id: ClientMessageID?, by user: UserID, author: UInt32) -> UInt64 {
        guard let id else { return 0 }
        guard self.isInbox else {
            return RecentMessages.fingerprint(author: author, clientMessageID: id)
        }
        // All authors of an inbox share one number; their storage keys tell them apart.
        let hash = user.storageKey.withBytes { StableHash.fnv1a($0) }
        return RecentMessages.fingerprint(
            author: UInt32(truncatingIfNeeded: hash), clientMessageID: id)
    }

    /// The one entry for all users that may post to an inbox without being members, whose number is
    /// unlimited.
    private var sharedAuthor: UInt32 {
        mutating get {
            let nonMember = UserID(storageKey: "")
            return self.members.number(of: nonMember)
                ?? self.members.insert(
                    Member(
                        user: nonMember, name: "", role: .member,
                        joinedAt: Timestamp(milliseconds: 0)),
                    isMember: false)
        }
    }

    private mutating func assignNumber(
        to body: MessageBody, author: UInt32, fingerprint: UInt64, from origin: RequestOrigin,
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard self.lifecycle == .active else {
            throw self.refusal(.conversationEnded) { $0.isEnd }
        }
        guard !self.areWritesUnavailable else { throw self.unavailability }
        let body = try self.resolved(body)
        self.head += 1
        self.revision += 1
        // If the wall clock is set back, a later message must not get an earlier time.
        self.lastSentAt = max(now.wall.milliseconds, self.lastSentAt)
        let message = Message(
            sequence: self.head, revision: self.revision,
            sentAt: Timestamp(milliseconds: self.lastSentAt), acceptedAt: origin.acceptedAt,
            body: body)
        if let root = body.annotations?.reply?.thread {
            self.threadRoots.record(root, of: self.head, storedHead: self.storedHead)
        }
        self.recents.append(author: author, fingerprint: fingerprint, at: now.monotonic)
        self.messageRate.record(at: now.monotonic)
        effects.append(.write(.message(message), revision: self.revision, origin: origin))
    }

    // MARK: Repeated sends

    /// Handles a send that seems to have created this message already. The message itself decides,
    /// because fingerprints may collide.
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

    /// Answers the repeated sends that waited until this message was stored.
    mutating func answerRepeatedSends(
        of message: Message, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        let due = self.repeatedSends.filter { $0.sequence <= message.sequence }
        self.repeatedSends.removeAll { $0.sequence <= message.sequence }
        for repeated in due {
            self.answerRepeatedSend(
                repeated.body, message, sequence: repeated.sequence, from: repeated.origin, at: now,
                into: &effects)
        }
    }

    /// Answers a repeated send with its message. If the message is another one or no longer exists,
    /// the send is executed.
    mutating func answerRepeatedSend(
        _ body: MessageBody, _ message: Message?, sequence: SequenceNumber,
        from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        if let message, Self.isRepeat(body, of: message) {
            effects.append(.answer(.posted(message, isRepeat: !origin.isRetry), to: origin))
            return
        }
        do throws(ChatError) {
            guard self.lifecycle != .missing else { throw .noSuchConversation }
            let author = try self.author(of: body)
            let fingerprint = self.fingerprint(
                of: body.clientMessageID, by: body.author.id, author: author)
            // Another repeat of the same send came first.
            if let newer = self.recents.sequence(of: fingerprint), newer > sequence {
                self.handleRepeatedSend(body, of: newer, from: origin, into: &effects)
            } else {
                try self.assignNumber(
                    to: body, author: author, fingerprint: fingerprint, from: origin, at: now,
                    into: &effects)
            }
        } catch {
            effects.append(.answer(.failed(error), to: origin))
        }
    }

    /// Whether a send has created this message already. Clients that only claim the same name may
    /// choose the same id, so what they send must be the same, too.
    private static func isRepeat(_ body: MessageBody, of message: Message) -> Bool {
        guard message.body.author.id == body.author.id,
            message.body.clientMessageID == body.clientMessageID
        else { return false }
        return !body.author.id.isClaimed
            || message.body.author == body.author
                && (message.body.content == body.content || message.state != .asSent)
    }

    private mutating func memberNumber(ofAuthor message: RecentMessage) -> UInt32 {
        self.members.number(of: message.author)
            ?? self.members.insert(
                Member(
                    user: message.author, name: message.author.name, role: .member,
                    joinedAt: message.sentAt), isMember: false)
    }

    /// Whether these are the newest messages, without gaps.
    func areNewest(_ messages: [RecentMessage]) -> Bool {
        guard let first = messages.first, let last = messages.last else {
            return self.storedHead == 0
        }
        return last.sequence == self.storedHead
            && messages.count == last.sequence + 1 - first.sequence
    }

    /// Restores the recent messages from the store, with marks derived from the members' cursors.
    ///
    /// Messages that are not the newest are ignored.
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
        // Receipts are stored as cursors only. The two highest cursors tell for every author
        // whether another member has a message.
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

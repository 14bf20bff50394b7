import Bytes
public import ChatModel

extension Conversation {
    mutating func post(_ body: MessageBody, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]) throws(ChatError) {
        guard let record = self.record else { throw .noSuchConversation }
        guard let author = self.members.member(body.author.id) else { throw .notAMember }
        let client = body.clientID.map { RecentMessages.hash(author: body.author.id, client: $0) }
        // Before `ended`: what was answered before the end is answered again after it.
        if let client, let clientID = body.clientID, let sequence = self.recents?.sequence(client: client) {
            if sequence <= self.storedHead {
                effects.append(.find(sequence, .repeated(body, origin)))
                return
            }
            if self.pending.message(sequence, from: body.author.id, client: clientID, asker: origin) { return }
        }
        guard record.endedAt == nil else { throw .conversationEnded }
        self.number(body, author: author, client: client, from: origin, at: now, into: &effects)
    }

    private mutating func number(
        _ body: MessageBody, author: UInt32, client: UInt64?, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]
    ) {
        self.head += 1
        // A wall clock that is set back must not put a later message before an earlier one.
        self.lastSentAt = max(now.wall.milliseconds, self.lastSentAt)
        let message = Message(sequence: self.head, revision: self.revision + 1, sentAt: Timestamp(milliseconds: self.lastSentAt), body: body)
        self.recents?.append(author: author, client: client)
        self.write(.message(message), then: .posted(message), from: origin, into: &effects)
    }

    func checkExists(_ sequence: SequenceNumber, for actor: Actor) throws(ChatError) {
        let record = try self.checkedRecord(for: actor.person.id, isAdmin: actor.isAdmin)
        guard record.endedAt == nil else { throw .conversationEnded }
        guard sequence >= self.oldest, sequence <= self.storedHead else { throw .noSuchMessage(sequence) }
    }

    /// What the store said of a message that was looked up; nil when it has it no longer.
    public mutating func found(_ message: Message?, for search: Search, sequence: SequenceNumber, at now: Moment, into effects: inout [ConversationEffect]) {
        switch search {
        case .repeated(let body, let origin):
            if let message, message.body.author.id == body.author.id, message.body.clientID == body.clientID {
                effects.append(.answer(.posted(message), to: origin))
            } else if let record = self.record, record.endedAt == nil, let author = self.members.member(body.author.id), let id = body.clientID {
                // Two sends under one hash, or a message that history has dropped meanwhile.
                let client = RecentMessages.hash(author: body.author.id, client: id)
                self.number(body, author: author, client: client, from: origin, at: now, into: &effects)
            } else {
                effects.append(.answer(.failed(self.record == nil ? .noSuchConversation : .conversationEnded), to: origin))
            }
        case .edit(let content, let actor, let origin):
            self.amend(message, sequence, by: actor, from: origin, at: now, into: &effects) { message, revision in
                message.edited(to: content, revision: revision)
            }
        case .delete(let actor, let origin):
            self.amend(message, sequence, by: actor, from: origin, at: now, into: &effects) { message, revision in
                message.deleted(revision: revision)
            }
        }
    }

    private mutating func amend(
        _ message: Message?, _ sequence: SequenceNumber, by actor: Actor, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect],
        change: (Message, Revision) -> Message
    ) {
        let refusal: ChatError? =
            if message == nil {
                .noSuchMessage(sequence)
            } else if message?.state == .deleted || self.pending.deletes(sequence) {
                .messageDeleted(sequence)
            } else if !actor.isAdmin, message?.body.author.id != actor.person.id {
                .notAllowed("the author of a message or an admin")
            } else {
                nil
            }
        guard let message, refusal == nil else {
            effects.append(.answer(.failed(refusal ?? .noSuchMessage(sequence)), to: origin))
            return
        }
        let amended = change(message, self.revision + 1)
        self.write(.amend(amended, at: now.wall), then: .amended(amended), from: origin, into: &effects)
    }

    /// What the store remembers of the newest messages: commands that waited for it go on.
    public mutating func remember(_ messages: [RecentMessage], at now: Moment, into effects: inout [ConversationEffect]) {
        var recents = RecentMessages(next: messages.first?.sequence ?? self.storedHead + 1, limit: self.limits.recentMessages)
        for message in messages {
            let author =
                self.members.number(of: message.author)
                ?? self.members.insert(Member(user: message.author, name: message.author.shown, role: .member, joinedAt: message.sentAt), isMember: false)
            recents.append(author: author, client: message.clientID.map { RecentMessages.hash(author: message.author, client: $0) })
            self.lastSentAt = max(self.lastSentAt, message.sentAt.milliseconds)
        }
        // Who has had which message is kept as cursors only: the two highest tell of every author whether another has it.
        let delivered = HighestTwo(self.members.entries.map(\.member.deliveredCursor))
        let read = HighestTwo(self.members.entries.map(\.member.readCursor))
        for sequence in recents.range {
            guard let author = recents.author(of: sequence) else { continue }
            if delivered.highest(but: author) >= sequence { recents.mark(sequence, .delivered) }
            if read.highest(but: author) >= sequence { recents.mark(sequence, .read) }
        }
        self.recents = recents
        let waiting = self.waitingForRecents
        self.waitingForRecents = []
        for input in waiting { self.handle(input.input, from: input.origin, at: now, into: &effects) }
    }
}

/// The two highest of some cursors, so that one can ask for the highest of everybody but one.
private struct HighestTwo {
    private var first = (member: UInt32.max, cursor: 0)
    private var second = 0

    init(_ cursors: [SequenceNumber]) {
        for (member, cursor) in cursors.enumerated() {
            if cursor > self.first.cursor {
                self.second = self.first.cursor
                self.first = (UInt32(member), cursor)
            } else {
                self.second = max(self.second, cursor)
            }
        }
    }

    func highest(but member: UInt32) -> SequenceNumber {
        self.first.member == member ? self.second : self.first.cursor
    }
}

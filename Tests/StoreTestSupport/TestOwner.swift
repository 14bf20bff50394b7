public import Bytes
public import ChatModel

/// An owner of one conversation, which tracks its state and makes its writes.
public struct TestOwner {
    public let key: ConversationKey
    public let id: LoopID
    public var epoch: Epoch
    public var revision: Revision = 0
    public var head: SequenceNumber = 0

    public init(key: ConversationKey, id: LoopID, epoch: Epoch) {
        self.key = key
        self.id = id
        self.epoch = epoch
    }

    public static func person(_ name: String) -> Person {
        Person(
            id: UserID(tokenSubject: ByteString(name)), name: ByteString("\(name)'s name"),
            agent: name == "robot" ? "agent 7" : nil)
    }

    /// A write that has the next revision, except for cursors.
    public mutating func write(_ change: Write.Change) -> Write {
        if case .cursors = change {
            return Write(
                conversation: self.key, shard: self.key.shard, epoch: self.epoch, revision: 0,
                change: change)
        }
        self.revision += 1
        return Write(
            conversation: self.key, shard: self.key.shard, epoch: self.epoch,
            revision: self.revision, change: change)
    }

    public mutating func create(
        _ title: String = "", _ template: ConversationTemplate = .unlisted,
        details: ByteString = "", pinPolicy: ConversationRecord.PinPolicy = .members,
        at time: Timestamp = Self.time(0)
    ) -> Write {
        let creator = Self.person("ann").id
        return self.write(
            .create(
                ConversationRecord(
                    template, title: title, dialectData: details, pinPolicy: pinPolicy,
                    creator: creator, createdAt: time)))
    }

    /// A write of the next message.
    public mutating func post(
        _ content: String, by author: String = "ann", clientID: String? = nil,
        metadata: [UInt8]? = nil, reply: Reply? = nil, mentions: Mentions? = nil
    ) -> Write {
        self.head += 1
        let body = MessageBody(
            author: Self.person(author),
            clientMessageID: clientID.map { ClientMessageID(stored: ByteString($0)) },
            content: content, metadata: metadata,
            annotations: MessageAnnotations(reply: reply, mentions: mentions))
        return self.write(
            .message(
                Message(
                    sequence: self.head, revision: self.revision + 1,
                    sentAt: Self.time(self.revision + 1), body: body)))
    }

    /// These amendments also apply to a deleted message, which a store does not change.
    public mutating func edit(_ message: Message, to content: String) -> Write {
        self.amend(
            message.edited(to: content, revision: self.revision + 1), .edited(content: content))
    }

    public mutating func delete(_ message: Message) -> Write {
        self.amend(message.deleted(revision: self.revision + 1), .deleted)
    }

    /// A reaction does not count as activity.
    public mutating func react(
        to message: Message, _ emoji: String, by name: String = "bob", isOn: Bool = true
    ) -> Write {
        let change = ReactionChange(
            Emoji(stored: ByteString(emoji)), by: Self.person(name).id, isOn: isOn)
        var reactions = message.body.annotations?.reactions ?? Reactions()
        try? reactions.apply(change)
        return self.amend(
            message.reacted(with: reactions, revision: self.revision + 1), .reacted([change]),
            isActivity: false)
    }

    /// Pins a message, or ends its pin.
    public mutating func pin(
        _ message: Message, _ isPinned: Bool = true, by name: String = "bob",
        at time: Timestamp? = nil
    ) -> Write {
        let pin = PinState(
            isPinned: isPinned, by: Self.person(name), at: time ?? Self.time(self.revision + 1))
        return self.amend(message.pinned(pin, revision: self.revision + 1), .pinned(pin))
    }

    private mutating func amend(
        _ message: Message, _ amendment: Amendment, isActivity: Bool = true
    ) -> Write {
        let time = isActivity ? Self.time(self.revision + 1) : nil
        return self.write(.amend(message, amendment, at: time))
    }

    public mutating func join(_ name: String, role: Member.Role = .member, read: Int = 0) -> Write {
        let person = Self.person(name)
        return self.write(
            .member(
                Member(
                    user: person.id, name: person.name, agent: person.agent, role: role,
                    joinedAt: Self.time(self.revision + 1),
                    readCursor: read)))
    }

    public mutating func cursors(_ name: String, read: SequenceNumber, delivered: SequenceNumber)
        -> Write
    {
        self.write(.cursors(Self.person(name).id, read: read, delivered: delivered))
    }

    /// The time of a change.
    public static func time(_ revision: Revision) -> Timestamp {
        Timestamp(milliseconds: 1_700_000_000_000 + Int64(revision))
    }
}

extension ChatStore {
    /// Claims and creates a conversation.
    public func createConversation(
        _ key: ConversationKey, by owner: LoopID = LoopID(incarnation: 1, loop: 0),
        title: String = "", _ template: ConversationTemplate = .unlisted,
        at time: Timestamp = TestOwner.time(0)
    ) async -> TestOwner {
        var testOwner = TestOwner(
            key: key, id: owner, epoch: await self.claim(key.shard, by: owner))
        _ = await self.write([testOwner.create(title, template, at: time)], by: owner)
        return testOwner
    }

    public func write(_ writes: [Write], by owner: TestOwner) async -> WriteOutcome? {
        await self.write(writes, by: owner.id)
    }
}

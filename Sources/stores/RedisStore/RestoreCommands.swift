public import Bytes
public import ChatModel
public import RedisClient

/// The commands that write conversations, bans and numbers of another store into Redis.
///
/// They write the layout of `RedisStore` directly, because the requests of a store make new
/// revisions, and a copy must keep those of its source: clients resume by them.
public struct RestoreCommands: Sendable {
    /// A part of a conversation.
    public struct RestoredPart: Sendable {
        /// Whether it is the first part.
        public var isFirst = true
        /// The last message of the parts before it; nil if they have none.
        public var last: SequenceNumber?
        public var members: [Member] = []
        /// In order, the first one behind `last`.
        public var messages: [Message] = []
        /// In the last part, the conversation, which exists from then on, and the revision of its
        /// last amendment of a message; 0 if there is none.
        public var completion: (conversation: LoadedConversation, amendedAt: Revision)?

        public init() {}
    }

    private let keys: StoreKeys

    /// - Parameter cluster: the name of the cluster.
    public init(of cluster: String) {
        self.keys = StoreKeys(cluster: ByteString(cluster))
    }

    // MARK: Conversations

    /// The pattern of the keys that only conversations have, for SCAN.
    public var conversationPattern: ByteString { ByteString("\(self.keys.cluster):{s*}:conv:*") }

    /// Reads the state of a conversation; the reply is null if it does not exist.
    public func state(of key: ConversationKey) -> RedisQuery {
        let name = self.name(.conversation, of: key)
        return RedisQuery(RedisSlot(key: name), "HGET", name, LayoutReader.headField)
    }

    /// The reply of `state(of:)` for a conversation with this content: format, revision, head, and
    /// time of the last change.
    public static func state(_ conversation: LoadedConversation) -> String {
        """
        1 \(conversation.revision) \(conversation.head) \
        \(conversation.record.updatedAt.milliseconds)
        """
    }

    /// Adds the conversation to its members' lists and to the catalog. This must be done before the
    /// conversation exists.
    public func indexEntries(
        of key: ConversationKey, _ conversation: LoadedConversation, at now: Timestamp
    ) -> [RedisQuery] {
        var entries = conversation.currentMembers.map { member in
            (StoreKeys.IndexKey.memberships(member.user, key.tenant), now)
        }
        if conversation.record.isInCatalog {
            entries.append((.catalog(key.tenant), conversation.record.createdAt))
        }
        return entries.map { index, score in
            let name = Self.text { self.keys.append(index, to: &$0) }
            return RedisQuery(
                RedisSlot(key: name), "ZADD", name, "GT", Self.text(score.milliseconds), key.id)
        }
    }

    /// Writes a part of a conversation. The reply is `done`, or the reason of a refusal: see
    /// `StoreScripts.restore`.
    public func write(_ part: RestoredPart, of key: ConversationKey) -> RedisQuery {
        var arguments: [ByteString] = ["EVAL", StoreScripts.restore.source]
        arguments.append(Self.text(StoreKeys.ConversationPart.allCases.count))
        arguments += StoreKeys.ConversationPart.allCases.map { self.name($0, of: key) }
        arguments.append(part.isFirst ? "begin" : part.last.map(Self.entryID) ?? "")
        arguments.append(Self.text(part.members.count))
        for member in part.members {
            arguments += [member.user.storageKey, Self.entry(member)]
        }
        arguments.append(Self.text(part.messages.count))
        for message in part.messages {
            arguments += [
                Self.entryID(message.sequence),
                Self.text { StoredMessage.write(message, revision: message.revision, to: &$0) },
                Self.amendment(message), Self.references(message),
                Self.text { StoredReferences.writeThreadEntry(of: message, to: &$0) },
            ]
        }
        let pins = part.completion?.conversation.pins ?? []
        arguments.append(Self.text(pins.count))
        for pin in pins {
            arguments += [
                Self.text(pin.sequence),
                Self.text { StoredPin.write(pin, revision: pin.revision, to: &$0) },
            ]
        }
        let fields = part.completion.map { Self.fields(of: $0.conversation, $0.amendedAt) } ?? []
        arguments.append(Self.text(fields.count))
        for (name, value) in fields { arguments += [name, value] }
        return RedisQuery(RedisSlot(key: arguments[3]), arguments)
    }

    private static func entryID(_ sequence: SequenceNumber) -> ByteString {
        ByteString("\(sequence)-0")
    }

    /// As `ReplyDecoder` reads it.
    private static func entry(_ member: Member) -> ByteString {
        self.text { text in
            text.append(number: member.role.rawValue)
            text.append(number: member.joinedAt.milliseconds)
            text.append(number: member.readCursor)
            text.append(number: member.deliveredCursor)
            text.append(text: member.name.string)
            ReplyDecoder.appendEnd(of: member, to: &text)
        }
    }

    /// As `StoredAmendment` reads it; empty for a message that has not changed. The stream's entry
    /// has the same content, because the message as it was sent is lost; readers find changes since
    /// a revision only in the amendments.
    private static func amendment(_ message: Message) -> ByteString {
        guard message.wasAmended else { return "" }
        return self.text { StoredAmendment.write(message, revision: message.revision, to: &$0) }
    }

    /// Empty for a message without reply and mentions.
    private static func references(_ message: Message) -> ByteString {
        guard let annotations = message.body.annotations, StoredReferences.exist(in: annotations)
        else { return "" }
        return self.text { StoredReferences.write(annotations, to: &$0) }
    }

    /// The hash, as `StoreScripts.write` creates it.
    private static func fields(of conversation: LoadedConversation, _ amendedAt: Revision) -> [(
        ByteString, ByteString
    )] {
        var fields = HashFieldWriter(conversation.record).fields.compactMap {
            $0.value.byteCount == 0 ? nil : (ByteString($0.name.description), $0.value)
        }
        if amendedAt > 0 { fields.append(("arev", self.text(amendedAt))) }
        fields.append(("at", ByteString(self.state(conversation))))
        return fields
    }

    // MARK: Bans and numbers

    /// Stores a ban. The reply is 0 if there is no place.
    public func write(_ ban: Ban) -> RedisQuery {
        let name = ByteString("\(self.keys.cluster):{c}:bans")
        return RedisQuery(
            RedisSlot(key: name), "EVAL", StoreScripts.putBan.source, "1", name,
            StoredBan.field(ban.subject), StoredBan.value(ban), Self.text(Ban.countLimit),
            Self.text(ban.since.milliseconds))
    }

    /// Stores numbers of a tenant's users.
    ///
    /// - Parameters:
    ///   - highest: the highest number of all users of the tenant; nil if none has one.
    ///   - counter: the last number that the tenant has counted.
    /// - Returns: a command whose reply is an empty text, or a user that has another number.
    public func write(
        _ users: ArraySlice<(user: UserID, number: Int)>, of tenant: ByteString, highest: Int?,
        counter: Int
    ) -> RedisQuery {
        let name = Self.text { self.keys.append(.numbers(tenant), to: &$0) }
        let assigned = highest.map { $0 - StoreRequest.firstUserNumber + 1 } ?? 0
        var arguments: [ByteString] = ["EVAL", StoreScripts.restoreNumbers.source, "1", name]
        arguments += [Self.text(assigned), Self.text(counter)]
        for (user, number) in users { arguments += [user.storageKey, Self.text(number)] }
        return RedisQuery(RedisSlot(key: name), arguments)
    }

    // MARK: Texts

    private func name(_ part: StoreKeys.ConversationPart, of key: ConversationKey) -> ByteString {
        Self.text { self.keys.append(part, of: key, in: Shard.of(key), to: &$0) }
    }

    private static func text(_ number: some FixedWidthInteger) -> ByteString {
        ByteString(String(number))
    }

    private static func text(_ write: (inout ByteBuffer) -> Void) -> ByteString {
        var text = ByteBuffer()
        write(&text)
        return ByteString(text.text)
    }
}

public import Bytes
public import ChatModel
public import Configuration
internal import JSON

/// Renders what happened in conversations as the events of webhooks.
///
/// Here and not in `ChatModel`, which knows no JSON. Another kind of change is one more case of
/// `content(of:)`.
public enum WebhookEvent {
    /// The event of a stored change; nil for changes that receivers do not see.
    ///
    /// It depends only on the change, so a change that is written again after a failover has the
    /// same id.
    ///
    /// - Parameter now: when the event is queued.
    public static func of(_ write: Write, types: Set<WebhookEventType>, now: Timestamp)
        -> OutboxEvent?
    {
        guard !write.conversation.isInbox, let content = self.content(of: write.change),
            types.contains(content.type)
        else { return nil }
        let time = content.time ?? now
        let id =
            "evt_\(self.hex(StableHash.of(write.conversation.tenant, write.conversation.id)))"
            + "_\(write.revision)_\(content.time?.milliseconds ?? 0)"
        return self.event(
            id, content.type, in: write.conversation, at: time, queuedAt: now
        ) { json in
            json.append(",\"revision\":")
            json.append(decimal: write.revision)
            content.write(&json)
        }
    }

    /// The events of members that came online or went offline. They are not stored, and their ids
    /// are random.
    public static func of(
        _ changes: [PresenceChange], in conversation: ConversationKey,
        types: Set<WebhookEventType>, now: Timestamp
    ) -> [OutboxEvent] {
        guard !conversation.isInbox else { return [] }
        return changes.compactMap { change in
            let type: WebhookEventType = change.isOnline ? .memberOnline : .memberOffline
            guard types.contains(type) else { return nil }
            let id = "evt_\(self.hex(.random(in: .min ... .max)))"
            return self.event(id, type, in: conversation, at: change.at, queuedAt: now) { json in
                json.append(",\"user\":")
                self.append(change.person, to: &json)
            }
        }
    }

    private struct WebhookContent {
        let type: WebhookEventType
        /// Nil if the change has no time.
        let time: Timestamp?
        let write: (inout ByteBuffer) -> Void
    }

    private static func content(of change: Write.Change) -> WebhookContent? {
        switch change {
        case .create(let record):
            return WebhookContent(type: .conversationCreated, time: record.createdAt) { json in
                json.append(",\"title\":")
                json.append(jsonString: record.title)
                json.append(",\"origin\":")
                json.append(jsonString: record.origin)
                json.append(",\"creator\":")
                self.append(record.creator?.displayID, to: &json)
                self.append(guestFlagOf: record.creator, to: &json)
            }
        case .message(let message):
            // A lost message was replaced by an empty one, which no subscriber receives either.
            if message.state == .deleted { return nil }
            return WebhookContent(type: .messageCreated, time: message.sentAt) {
                self.append(message, to: &$0)
            }
        case .amend(let message, let amendment, let time):
            let type: WebhookEventType
            switch amendment {
            case .edited: type = .messageEdited
            case .deleted: type = .messageDeleted
            // Receivers read the reactions and pins of a message over REST.
            case .reacted, .pinned: return nil
            }
            return WebhookContent(type: type, time: time) { self.append(message, to: &$0) }
        case .update(let record):
            return WebhookContent(type: .conversationUpdated, time: nil) { json in
                json.append(",\"title\":")
                json.append(jsonString: record.title)
                json.append(
                    record.joinPolicy == .open
                        ? ",\"access\":\"open\"" : ",\"access\":\"closed\"")
                json.append(record.isListed ? ",\"listed\":true" : ",\"listed\":false")
            }
        case .member(let member) where !member.role.isMember:
            return self.memberLeft(member.user)
        case .member(let member):
            return WebhookContent(type: .memberJoined, time: member.joinedAt) { json in
                json.append(",\"user\":")
                self.append(
                    Person(id: member.user, name: member.name, agent: member.agent), to: &json)
                json.append(",\"role\":")
                json.append(jsonString: "\(member.role)")
                json.append(",\"joined_at\":\"")
                json.append(timestamp: member.joinedAt)
                json.append("\"")
            }
        case .remove(let user):
            return self.memberLeft(user)
        case .end(let time): return WebhookContent(type: .conversationEnded, time: time) { _ in }
        case .cursors, .skip: return nil
        }
    }

    private static func memberLeft(_ user: UserID) -> WebhookContent {
        WebhookContent(type: .memberLeft, time: nil) { json in
            json.append(",\"user\":{\"id\":")
            json.append(jsonString: user.displayID)
            self.append(guestFlagOf: user, to: &json)
            json.append("}")
        }
    }

    private static func event(
        _ id: String, _ type: WebhookEventType, in conversation: ConversationKey,
        at time: Timestamp, queuedAt: Timestamp, _ write: (inout ByteBuffer) -> Void
    ) -> OutboxEvent {
        var json = ByteBuffer(capacity: 512)
        json.append("{\"type\":")
        json.append(jsonString: type.rawValue)
        json.append(",\"timestamp\":\"")
        json.append(timestamp: time)
        json.append("\",\"data\":{\"tenant\":")
        json.append(jsonString: conversation.tenant)
        json.append(",\"conversation\":")
        json.append(jsonString: conversation.id)
        write(&json)
        json.append("}}")
        return OutboxEvent(
            id: ByteString(id), type: ByteString(type.rawValue), conversation: conversation,
            queuedAt: queuedAt, body: json.bytes)
    }

    private static func append(_ message: Message, to json: inout ByteBuffer) {
        json.append(",\"message\":{\"sequence\":")
        json.append(decimal: message.sequence)
        json.append(",\"author\":")
        self.append(message.body.author, to: &json)
        json.append(",\"sent_at\":\"")
        json.append(timestamp: message.sentAt)
        json.append("\",\"client_message_id\":")
        self.append(message.body.clientMessageID?.displayID, to: &json)
        if message.state != .deleted {
            json.append(",\"content\":")
            json.append(jsonString: message.body.content)
            json.append(",\"metadata\":")
            if let metadata = message.body.metadata {
                json.append(contentsOf: metadata)
            } else {
                json.append("null")
            }
            if let mentions = message.body.annotations?.mentions {
                if mentions.includesEveryone { json.append(",\"mentions_all\":true") }
                json.append(",\"mentions\":[")
                for (index, user) in mentions.users.enumerated() {
                    if index > 0 { json.append(",") }
                    json.append(jsonString: user.displayID)
                }
                json.append("]")
            }
        }
        if let reply = message.body.annotations?.reply {
            json.append(",\"reply_to\":")
            json.append(decimal: reply.to)
            json.append(",\"thread\":")
            json.append(decimal: reply.thread)
        }
        json.append("}")
    }

    private static func append(_ person: Person, to json: inout ByteBuffer) {
        json.append("{\"id\":")
        json.append(jsonString: person.id.displayID)
        json.append(",\"name\":")
        json.append(jsonString: person.name)
        json.append(",\"agent\":")
        self.append(person.agent, to: &json)
        self.append(guestFlagOf: person.id, to: &json)
        json.append("}")
    }

    private static func append(guestFlagOf user: UserID?, to json: inout ByteBuffer) {
        guard let key = user?.guestKey else { return }
        json.append(",\"guest\":true,\"guest_key\":")
        json.append(jsonString: key)
    }

    private static func append(_ text: ByteString?, to json: inout ByteBuffer) {
        if let text { json.append(jsonString: text) } else { json.append("null") }
    }

    static func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

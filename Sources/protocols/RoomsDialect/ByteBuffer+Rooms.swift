public import Bytes
public import ChatModel
internal import DialectKit
internal import JSON

/// The JSON of a conversation, identical in the protocol's events and its REST API (seed `002`,
/// `PROTOCOLS`).
extension ByteBuffer {
    /// Appends a conversation with its participants.
    ///
    /// - Parameters:
    ///   - messageCount: the number of its newest message.
    ///   - lastMessage: that message; nil if none is retained.
    ///   - participantLimit: the most participants; `participant_count` counts all.
    ///   - participantBytes: their most bytes.
    ///   - fields: writes further fields, each with a leading comma.
    public mutating func append(
        room id: ByteString, _ details: ConversationDetails, messageCount: SequenceNumber,
        lastMessage: Message?, participantLimit: Int = MemberSelection.limit,
        participantBytes: Int = .max,
        _ fields: (inout ByteBuffer) -> Void = { _ in }
    ) {
        self.append(propertiesOf: details.record, inRoom: id)
        self.append(#","participants":"#)
        self.append(participantsOf: details, limit: participantLimit, within: participantBytes)
        self.append(#","participant_count":"#)
        self.append(decimal: details.participantCount)
        self.append(#","message_count":"#)
        self.append(decimal: messageCount)
        fields(&self)
        self.append(#","last_message":"#)
        if let lastMessage {
            self.append(message: lastMessage, inRoom: id)
        } else {
            self.append("null")
        }
        self.append("}")
    }

    /// Appends the beginning of a conversation's object: the fields that do not depend on messages
    /// and members.
    public mutating func append(propertiesOf record: ConversationRecord, inRoom id: ByteString) {
        self.append(#"{"room_id":"#)
        self.append(jsonString: id)
        self.append(#","title":"#)
        self.append(jsonString: record.title)
        self.append(#","description":"#)
        // Other protocols store data in their own format there.
        let isRoom = record.origin == ConversationTemplate.rooms.origin
        self.append(jsonString: isRoom ? record.dialectData.string : "")
        self.append(#","created_by":"#)
        if let creator = record.creator {
            self.append(jsonString: creator.name)
            self.append(guestFlagOf: creator)
        } else {
            self.append("null")
        }
        self.append(#","created_at":""#)
        self.append(timestamp: record.createdAt)
        self.append(#"","updated_at":""#)
        self.append(timestamp: record.updatedAt)
        self.append(record.endedAt == nil ? #"","is_active":true"# : #"","is_active":false"#)
        self.append(accessOf: record)
    }

    /// Appends the user that has changed a conversation, and the revision of the change.
    mutating func append(updatedBy person: Person, _ revision: Revision) {
        self.append(#","by":"#)
        self.append(jsonString: person.id.name)
        self.append(#","username":"#)
        self.append(jsonString: person.name)
        self.append(#","rev":"#)
        self.append(decimal: revision)
        self.append(guestFlagOf: person.id)
    }

    /// Appends the read positions of members, as the fields of an object.
    public mutating func append(receiptsOfRoom receipts: ReceiptList) {
        self.append(receipts: receipts, id: \.name)
    }

    /// Appends an array of the selected members.
    mutating func append(
        participantsOf details: ConversationDetails, limit: Int = MemberSelection.limit,
        within bytes: Int
    ) {
        self.append(array: details.members.prefix(limit), within: bytes) {
            $0.append(participant: $1, isOnline: details.online.contains($1.user))
        }
    }

    public mutating func append(participant member: Member, isOnline: Bool) {
        self.append(#"{"user_id":"#)
        self.append(jsonString: member.user.name)
        self.append(#","username":"#)
        self.append(jsonString: member.name)
        self.append(isOnline ? #","online":true"# : #","online":false"#)
        self.append(guestFlagOf: member.user)
        self.append("}")
    }

    /// Appends a message in its current state, as in the event `new_message`. A recovered one may
    /// have reactions and a pin, which no later event shows.
    public mutating func append(message: Message, inRoom id: ByteString) {
        self.append(fieldsOf: message, inRoom: id)
        self.append(referencesOf: message)
        self.append(stateOf: message)
        self.append("}")
    }

    /// Appends a message of a page, with its reactions, its pin and its place in threads.
    public mutating func append(
        message: Message, inRoom id: ByteString, on page: MessagePage, for viewer: UserID?
    ) {
        self.append(fieldsOf: message, inRoom: id)
        self.append(annotationsOf: message, on: page, for: viewer)
        self.append("}")
    }

    /// Appends a message that was pinned or whose pin ended, and the user that did it.
    public mutating func append(pinOf message: Message, inRoom id: ByteString) {
        self.append(#""message":"#)
        self.append(message: message, inRoom: id, on: .of([]), for: nil)
        if let pin = message.body.annotations?.pin {
            self.append(#","by":"#)
            self.append(jsonString: pin.by.id.displayID)
            self.append(#","username":"#)
            self.append(jsonString: pin.by.name)
            self.append(guestFlagOf: pin.by.id)
        }
        self.append(#","rev":"#)
        self.append(decimal: message.revision)
    }

    /// Appends the reactions to a message in their present state.
    ///
    /// - Parameter viewer: the user whose reactions are marked as `mine`.
    public mutating func append(reactionsTo message: Message, for viewer: UserID? = nil) {
        self.append(#""message_id":""#)
        self.append(decimal: message.sequence)
        self.append(#"","rev":"#)
        self.append(decimal: message.revision)
        self.append(#","reactions":"#)
        self.append(message.body.annotations?.reactions ?? Reactions(), for: viewer)
    }

    private mutating func append(fieldsOf message: Message, inRoom id: ByteString) {
        self.append(#"{"id":""#)
        self.append(decimal: message.sequence)
        self.append(#"","room_id":"#)
        self.append(jsonString: id)
        self.append(#","user_id":"#)
        self.append(jsonString: message.body.author.id.name)
        self.append(#","username":"#)
        self.append(jsonString: message.body.author.name)
        self.append(#","content":"#)
        self.append(jsonString: message.body.content)
        self.append(#","timestamp":""#)
        self.append(timestamp: message.sentAt)
        self.append(#"""#)
        self.append(flagsOf: message.state)
        self.append(guestFlagOf: message.body.author.id)
    }

    /// Appends an array of messages of a page, in their order.
    ///
    /// - Parameters:
    ///   - viewer: the user whose reactions are marked as `mine`.
    ///   - keepsLast: whether the last messages are kept if there is no room for all.
    ///   - bytes: the most bytes of the messages.
    /// - Returns: the number of messages, at least one.
    public mutating func append(
        messages: some Collection<Message>, inRoom id: ByteString, on page: MessagePage,
        for viewer: UserID?, keepsLast: Bool = false, within bytes: Int
    ) -> Int {
        self.append(array: messages, keepsLast: keepsLast, within: bytes) {
            $0.append(message: $1, inRoom: id, on: page, for: viewer)
        }
    }
}

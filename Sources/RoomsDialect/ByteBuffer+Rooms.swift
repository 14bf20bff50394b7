public import Bytes
public import ChatModel
internal import DialectKit
internal import JSON

/// What the protocol's events and its REST API show of a conversation, letter by letter the same in both (seed `002`, `PROTOCOLS`).
extension ByteBuffer {
    /// The last field of what is about somebody whom no token names, with a comma in front. The id beside it is the one that the client has
    /// said, because clients look for that.
    mutating func append(guestFlagOf user: UserID) {
        if user.isAnonymous { self.append(#","guest":true"#) }
    }

    /// A conversation with all its participants.
    ///
    /// - Parameter messageCount: the number of its newest message.
    public mutating func append(
        room id: ByteString, _ record: ConversationRecord, participants: [Member],
        online: Set<UserID>, messageCount: SequenceNumber
    ) {
        self.append(#"{"room_id":"#)
        self.append(jsonString: id)
        self.append(#","title":"#)
        self.append(jsonString: record.title)
        self.append(#","description":"#)
        // What other protocols keep there is in their own writing.
        self.append(jsonString: record.kind == .rooms ? record.dialectData.string : "")
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
        self.append(
            record.endedAt == nil
                ? #"","is_active":true,"participants":"# : #"","is_active":false,"participants":"#)
        self.append(participants: participants, online: online)
        self.append(#","message_count":"#)
        self.append(decimal: messageCount)
        self.append("}")
    }

    public mutating func append(room id: ByteString, _ description: ConversationDetails) {
        self.append(
            room: id, description.record, participants: description.members,
            online: description.online, messageCount: description.head)
    }

    /// So many participants are told of a conversation at most: a list of a hundred conversations must stay one that can be read.
    public static var participantLimit: Int { 1000 }

    /// An array of them, in the order in which they came; of more than the limit, those who are online before the others.
    public mutating func append(participants: [Member], online: Set<UserID>) {
        var shown = participants[...]
        if participants.count > Self.participantLimit {
            let (present, absent) = (
                participants.filter { online.contains($0.user) },
                participants.filter { !online.contains($0.user) }
            )
            shown = (present + absent).prefix(Self.participantLimit)
        }
        self.append("[")
        for (place, member) in shown.enumerated() {
            if place > 0 { self.append(",") }
            self.append(participant: member, isOnline: online.contains(member.user))
        }
        self.append("]")
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

    /// A message as `new_message` brings it.
    public mutating func append(message: Message, inRoom id: ByteString) {
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
        self.append("}")
    }

    /// An array of messages, oldest first.
    public mutating func append(messages: some Collection<Message>, inRoom id: ByteString) {
        self.append("[")
        for (place, message) in messages.enumerated() {
            if place > 0 { self.append(",") }
            self.append(message: message, inRoom: id)
        }
        self.append("]")
    }
}

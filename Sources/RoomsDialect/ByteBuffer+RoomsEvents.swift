import Bytes
import ChatModel
import DialectKit
import EngineIO
import JSON
import SocketIO

/// The server's packets: `4` for Engine.IO, then Socket.IO's, whose events have one argument.
extension ByteBuffer {
    mutating func append(roomsEvent name: StaticString, _ argument: (inout ByteBuffer) -> Void) {
        self.append(enginePacket: .message)
        self.append(socketEvent: name, argument)
    }

    mutating func append(roomsAck id: Int, _ argument: (inout ByteBuffer) -> Void) {
        self.append(enginePacket: .message)
        self.append(socketAck: id, argument)
    }

    /// - Parameter isAck: in the answer to an `authenticate` that asked for one.
    mutating func append(authenticatedAs user: UserID, isAck: Bool) {
        self.append(isAck ? #"{"ok":true,"user_id":"# : #"{"user_id":"#)
        self.append(jsonString: user.name)
        self.append(guestFlagOf: user)
        self.append("}")
    }

    /// Where a client that comes back has been; clients keep the last string that an event ended with.
    mutating func append(offset: String) {
        self.append(roomsEvent: "offset") { $0.append(jsonString: offset) }
    }

    mutating func append(typing person: Person, _ isTyping: Bool, inRoom room: ByteString) {
        self.append(#"{"room_id":"#)
        self.append(jsonString: room)
        self.append(#","user_id":"#)
        self.append(jsonString: person.id.name)
        self.append(#","username":"#)
        self.append(jsonString: person.name)
        self.append(isTyping ? #","is_typing":true"# : #","is_typing":false"#)
        self.append(guestFlagOf: person.id)
        self.append("}")
    }

    /// Somebody came or went.
    mutating func append(
        joinOrLeaveOf user: UserID, _ name: ByteString, inRoom room: ByteString, at time: Timestamp
    ) {
        self.append(#"{"room_id":"#)
        self.append(jsonString: room)
        self.append(#","user_id":"#)
        self.append(jsonString: user.name)
        self.append(#","username":"#)
        self.append(jsonString: name)
        self.append(#","timestamp":""#)
        self.append(timestamp: time)
        self.append(#"""#)
        self.append(guestFlagOf: user)
        self.append("}")
    }

    mutating func append(
        presenceSummary online: Int, _ changes: [PresenceChange], inRoom room: ByteString
    ) {
        self.append(#"{"room_id":"#)
        self.append(jsonString: room)
        self.append(#","online":"#)
        self.append(decimal: online)
        self.append(#","changes":["#)
        for (place, change) in changes.enumerated() {
            self.append(place > 0 ? #",{"user_id":"# : #"{"user_id":"#)
            self.append(jsonString: change.person.id.name)
            self.append(#","username":"#)
            self.append(jsonString: change.person.name)
            self.append(
                change.isOnline
                    ? #","status":"online","timestamp":""# : #","status":"offline","timestamp":""#)
            self.append(timestamp: change.at)
            self.append(#"""#)
            self.append(guestFlagOf: change.person.id)
            self.append("}")
        }
        self.append("]}")
    }

    mutating func append(endedBy user: UserID, inRoom room: ByteString, at time: Timestamp) {
        self.append(#"{"room_id":"#)
        self.append(jsonString: room)
        self.append(#","ended_by":"#)
        self.append(jsonString: user.name)
        self.append(#","timestamp":""#)
        self.append(timestamp: time)
        self.append(#"""#)
        self.append(guestFlagOf: user)
        self.append("}")
    }

    /// - Parameter head: the number of the newest message that the client has had with this.
    mutating func append(
        state description: ConversationDetails, inRoom room: ByteString, messages: [Message],
        head: SequenceNumber, isAck: Bool = false
    ) {
        self.append(isAck ? #"{"ok":true,"conversation":"# : #"{"conversation":"#)
        self.append(
            room: room, description.record, participants: description.members,
            online: description.online, messageCount: head)
        self.append(#","participants":"#)
        self.append(participants: description.members, online: description.online)
        self.append(#","messages":"#)
        self.append(messages: messages, inRoom: room)
        self.append("}")
    }

    /// The acknowledgement of a message.
    mutating func append(sent message: Message, localID: ByteString?) {
        self.append(#"{"ok":true,"id":""#)
        self.append(decimal: message.sequence)
        self.append(#"","timestamp":""#)
        self.append(timestamp: message.sentAt)
        self.append(#"""#)
        if let localID {
            self.append(#","local_id":"#)
            self.append(jsonString: localID)
        }
        self.append("}")
    }

    /// The acknowledgement of what could not be done.
    ///
    /// - Parameters:
    ///   - outcome: of a send that failed; nil for anything else.
    ///   - localID: of that send, where the client has given one.
    mutating func append(
        refusal sentence: String, outcome: SendOutcome?, localID: ByteString?, retryAfter: Double?
    ) {
        self.append(#"{"ok":false,"error":"#)
        self.append(jsonString: sentence)
        self.append(failedSend: outcome, localID)
        if let retryAfter { self.append(retryAfter: retryAfter) }
        self.append("}")
    }

    /// The event of what could not be done.
    ///
    /// - Parameters:
    ///   - event: what the client asked for, where that is known.
    ///   - outcome: of a send that failed; nil for anything else.
    ///   - localID: of that send, where the client has given one.
    ///   - fields: what else stands in it, each with a comma in front.
    mutating func append(
        roomsError sentence: String, event: ByteString?, outcome: SendOutcome? = nil,
        localID: ByteString? = nil, retryAfter: Double? = nil,
        _ fields: (inout ByteBuffer) -> Void = { _ in }
    ) {
        self.append(roomsEvent: "error") {
            $0.append(#"{"message":"#)
            $0.append(jsonString: sentence)
            if let event {
                $0.append(#","event":"#)
                $0.append(jsonString: event)
            }
            $0.append(failedSend: outcome, localID)
            if let retryAfter { $0.append(retryAfter: retryAfter) }
            fields(&$0)
            $0.append("}")
        }
    }

    private mutating func append(failedSend outcome: SendOutcome?, _ localID: ByteString?) {
        if let outcome { self.append(outcome: outcome) }
        guard let localID else { return }
        self.append(#","local_id":"#)
        self.append(jsonString: localID)
    }
}

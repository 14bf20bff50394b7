import Bytes
import ChatModel
import DialectKit
import EngineIO
import JSON
import SocketIO

/// The server's packets: `4` for Engine.IO, then the packet of Socket.IO. Every event has one
/// argument.
extension ByteBuffer {
    mutating func append(roomsEvent name: StaticString, _ argument: (inout ByteBuffer) -> Void) {
        self.append(enginePacket: .message)
        self.append(socketEvent: name, argument)
    }

    mutating func append(roomsAck id: Int, _ argument: (inout ByteBuffer) -> Void) {
        self.append(enginePacket: .message)
        self.append(socketAck: id, argument)
    }

    /// - Parameter isAck: whether this is the acknowledgement of an `authenticate`.
    mutating func append(authenticatedAs user: UserID, isAck: Bool) {
        self.append(isAck ? #"{"ok":true,"user_id":"# : #"{"user_id":"#)
        self.append(jsonString: user.name)
        self.append(guestFlagOf: user)
        self.append("}")
    }

    /// Appends the position from which a reconnected client resumes. Clients keep the last string
    /// argument of an event.
    mutating func append(offset: String) {
        self.append(roomsEvent: "offset") { $0.append(jsonString: offset) }
    }

    /// Begins an object with the room's id.
    mutating func append(roomID room: ByteString) {
        self.append(#"{"room_id":"#)
        self.append(jsonString: room)
        self.append(",")
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

    /// Appends a user who came online or went offline, or who left.
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
        for (index, change) in changes.enumerated() {
            self.append(index > 0 ? #",{"user_id":"# : #"{"user_id":"#)
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

    /// Appends the fields of the room's state, up to the end of the object.
    ///
    /// - Parameter head: the number of the newest message that the client has received with this
    ///   state.
    mutating func append(
        state description: ConversationDetails, inRoom room: ByteString, page: MessagePage,
        head: SequenceNumber, for viewer: UserID?, within bytes: Int
    ) {
        let start = self.count
        self.append(#""conversation":"#)
        self.append(
            room: room, description, messageCount: head, lastMessage: page.messages.last,
            participantBytes: bytes / 4)
        self.append(#","participants":"#)
        self.append(participantsOf: description, within: bytes / 4)
        self.append(#","messages":"#)
        let count = self.append(
            messages: page.messages, inRoom: room, on: page, for: viewer, keepsLast: true,
            within: bytes - (self.count - start))
        self.append(nextPage: page.next(afterShowing: count, isForward: false))
        self.append("}")
    }

    /// Appends the acknowledgement of a message.
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
        self.append(referencesOf: message)
        self.append("}")
    }

    /// Appends the acknowledgement of a failed request.
    ///
    /// - Parameters:
    ///   - outcome: whether the message of a failed send may have been stored; nil for other
    ///     requests.
    ///   - localID: the client's id of that send, if it gave one.
    mutating func append(
        refusal sentence: String, outcome: SendOutcome?, localID: ByteString?, retryAfter: Double?
    ) {
        self.append(#"{"ok":false,"error":"#)
        self.append(jsonString: sentence)
        self.append(failedSend: outcome, localID)
        if let retryAfter { self.append(retryAfter: retryAfter) }
        self.append("}")
    }

    /// Appends the error event of a failed request.
    ///
    /// - Parameters:
    ///   - event: the event that the client requested, if known.
    ///   - outcome: whether the message of a failed send may have been stored; nil for other
    ///     requests.
    ///   - localID: the client's id of that send, if it gave one.
    ///   - fields: writes further fields, each with a leading comma.
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

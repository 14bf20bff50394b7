import Bytes
import ChatModel
import DialectKit
import JSON

extension UserID {
    /// The user's id in this protocol. An anonymous user of this protocol has the UUID that the
    /// server assigned, which no other user can have. Other guests have the same id as in all
    /// protocols.
    var petsDisplayID: ByteString { self.isAssigned ? self.name : self.displayID }
}

extension ByteBuffer {
    /// Appends the key of a guest whose id is no assigned UUID.
    fileprivate mutating func append(petsGuestFlagOf user: UserID) {
        if !user.isAssigned { self.append(guestFlagOf: user) }
    }
}

/// The server's frames, byte for byte as in seed `000`.
extension ByteBuffer {
    mutating func append(connectedAs user: UserID) {
        self.append(#"{"event":"connected","data":{"user_id":"#)
        self.append(jsonString: user.petsDisplayID)
        self.append(petsGuestFlagOf: user)
        self.append("}}")
    }

    /// Appends a message for all connections except its sender's.
    mutating func append(message: Message, in conversation: ByteString) {
        self.append(#"{"event":"message","data":"#)
        self.append(fieldsOf: message, in: conversation)
        self.append("}")
    }

    private mutating func append(
        fieldsOf message: Message, in conversation: ByteString, fetchedBy viewer: UserID? = nil
    ) {
        self.append(#"{"conversation_id":"#)
        self.append(jsonString: conversation)
        self.append(#","message_id":""#)
        self.append(decimal: message.sequence)
        self.append(#"","sender_id":"#)
        self.append(jsonString: message.body.author.id.petsDisplayID)
        self.append(#","content":"#)
        self.append(jsonString: message.body.content)
        self.append(#","timestamp":""#)
        self.append(timestamp: message.sentAt)
        self.append(#"""#)
        self.append(flagsOf: message.state)
        self.append(petsGuestFlagOf: message.body.author.id)
        if let viewer { self.append(stateOf: message, for: viewer) }
        self.append("}")
    }

    mutating func append(sent message: Message, in conversation: ByteString, localID: ByteString?) {
        self.append(#"{"event":"message_sent","data":{"conversation_id":"#)
        self.append(jsonString: conversation)
        self.append(#","message_id":""#)
        self.append(decimal: message.sequence)
        if let localID {
            self.append(#"","local_id":"#)
            self.append(jsonString: localID)
            self.append(#","content":"#)
        } else {
            self.append(#"","content":"#)
        }
        self.append(jsonString: message.body.content)
        self.append(#","timestamp":""#)
        self.append(timestamp: message.sentAt)
        self.append(#""}}"#)
    }

    mutating func append(broadcast message: Message) {
        self.append(#"{"event":"broadcast","data":{"sender_id":"#)
        self.append(jsonString: message.body.author.id.petsDisplayID)
        self.append(#","content":"#)
        self.append(jsonString: message.body.content)
        self.append(#","timestamp":""#)
        self.append(timestamp: message.sentAt)
        self.append(#"""#)
        self.append(petsGuestFlagOf: message.body.author.id)
        self.append("}}")
    }

    /// - Parameter fields: the fields as `PetsDetails` writes them.
    mutating func append(created conversation: ByteString, _ fields: ByteString, client: UserID) {
        self.append(#"{"event":"conversation_created","data":{"conversation_id":"#)
        self.append(jsonString: conversation)
        self.append(",")
        self.append(text: fields.string)
        self.append(#","client_id":"#)
        self.append(jsonString: client.petsDisplayID)
        self.append(petsGuestFlagOf: client)
        self.append("}}")
    }

    mutating func append(conversations list: MembershipList) {
        self.append(#"{"event":"conversations","data":["#)
        for (index, listed) in list.memberships.enumerated() {
            self.append(index > 0 ? #",{"conversation_id":"# : #"{"conversation_id":"#)
            self.append(jsonString: listed.key.id)
            self.append(",")
            self.append(text: PetsDetails.fields(of: listed.record).string)
            self.append(#","client_id":"#)
            if let creator = listed.record.creator {
                self.append(jsonString: creator.petsDisplayID)
                self.append(petsGuestFlagOf: creator)
            } else {
                self.append("null")
            }
            self.append(#","created_at":""#)
            self.append(timestamp: listed.record.createdAt)
            self.append(#"","updated_at":""#)
            self.append(timestamp: listed.record.updatedAt)
            self.append(#"","last_message":"#)
            if let last = listed.lastMessage {
                self.append(fieldsOf: last, in: listed.key.id)
            } else {
                self.append("null")
            }
            self.append("}")
        }
        self.append(list.isCut ? #"],"truncated":true}"# : "]}")
    }

    /// - Parameters:
    ///   - isForward: whether the page begins with the oldest message of its range.
    ///   - bytes: the most bytes of the messages that are shown, of at least one.
    /// - Returns: the number of messages that fit.
    mutating func append(
        history page: MessagePage, isForward: Bool, of conversation: ByteString,
        for viewer: UserID, within bytes: Int
    ) -> Int {
        self.append(#"{"event":"history","data":{"conversation_id":"#)
        self.append(jsonString: conversation)
        self.append(#","messages":"#)
        let count = self.append(array: page.messages, keepsLast: !isForward, within: bytes) {
            $0.append(fieldsOf: $1, in: conversation, fetchedBy: viewer)
        }
        self.append(
            nextPage: page.next(afterShowing: count, isForward: isForward), isForward: isForward)
        self.append("}}")
        return count
    }

    /// - Parameters:
    ///   - event: the event that the client requested, if known.
    ///   - localID: the client's id of a failed send, if it gave one.
    ///   - outcome: whether the message of a failed send may have been stored.
    mutating func append(
        error sentence: String, event: ByteString?, localID: ByteString? = nil,
        outcome: SendOutcome = .refused, retryAfter: Double? = nil
    ) {
        self.append(#"{"event":"error","data":{"message":"#)
        self.append(jsonString: sentence)
        if let event {
            self.append(#","event":"#)
            self.append(jsonString: event)
            if event == "message" { self.append(outcome: outcome) }
        }
        if let localID {
            self.append(#","local_id":"#)
            self.append(jsonString: localID)
        }
        if let retryAfter { self.append(retryAfter: retryAfter) }
        self.append("}}")
    }
}

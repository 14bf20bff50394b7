import Bytes
import ChatModel
import DialectKit
import JSON

/// The server's frames, byte for byte as in seed `003`.
extension ByteBuffer {
    /// Appends a message in its current state. A replayed one may have reactions and a pin, which
    /// no later event shows.
    mutating func append(chatMessage message: Message) {
        self.append(#"{"type":"chat_message","message":"#)
        self.append(messageEvent: message)
    }

    /// Appends a message that was edited or deleted, in its current state.
    mutating func append(amendedMessage message: Message) {
        self.append(
            message.state == .deleted
                ? #"{"type":"message.deleted","message":"# : #"{"type":"message.edited","message":"#
        )
        self.append(messageEvent: message)
    }

    /// The event has a `rev` of its own beside the one in the message, as all events do.
    private mutating func append(messageEvent message: Message) {
        self.append(fieldsOf: message)
        self.append(stateOf: message)
        // Shows that the message has changed, so that its revision is not the one of its post.
        if message.body.annotations?.pin?.isPinned == false { self.append(#","pinned":null"#) }
        let start = self.count
        self.append(revision: message.revision)
        self.append("}")
        self.append(copyOf: start..<self.count)
    }

    private mutating func append(revision: Revision) {
        self.append(#","rev":"#)
        self.append(decimal: revision)
    }

    private mutating func append(fieldsOf message: Message) {
        self.append(#"{"id":""#)
        self.append(decimal: message.sequence)
        if let localID = message.body.clientMessageID?.displayID {
            self.append(#"","local_id":"#)
            self.append(jsonString: localID)
            self.append(#","sender_id":"#)
        } else {
            self.append(#"","sender_id":"#)
        }
        self.append(user: message.body.author)
        self.append(#","content":"#)
        self.append(jsonString: message.body.content)
        self.append(#","timestamp":""#)
        self.append(timestamp: message.sentAt)
        self.append(#"","status":"sent""#)
        self.append(flagsOf: message.state)
        self.append(referencesOf: message)
    }

    /// Appends the reactions to a message in their present state.
    mutating func append(reactionsTo message: Message) {
        self.append(#"{"type":"reactions","message_id":""#)
        self.append(decimal: message.sequence)
        self.append(#"","rev":"#)
        self.append(decimal: message.revision)
        self.append(#","reactions":"#)
        self.append(message.body.annotations?.reactions ?? Reactions())
        self.append("}")
    }

    /// Appends a message that was pinned or whose pin ended.
    mutating func append(pinOf message: Message) {
        let pin = message.body.annotations?.pin
        self.append(
            pin?.isPinned == true
                ? #"{"type":"pinned","message":"# : #"{"type":"unpinned","message":"#)
        self.append(fieldsOf: message)
        self.append(stateOf: message)
        self.append(revision: message.revision)
        self.append("}")
        if let pin {
            self.append(#","by":"#)
            self.append(user: pin.by)
        }
        self.append(revision: message.revision)
        self.append("}")
    }

    /// Appends the present properties of a conversation, after a user has changed them.
    mutating func append(
        updated record: ConversationRecord, of conversation: ConversationKey, by person: Person,
        _ revision: Revision
    ) {
        self.append(#"{"type":"conversation.updated","conversation":{"conversation_id":"#)
        self.append(jsonString: conversation.id)
        self.append(#","title":"#)
        self.append(jsonString: record.title)
        self.append(#","created_by":"#)
        if let creator = record.creator {
            self.append(jsonString: creator.displayID)
            self.append(guestFlagOf: creator)
        } else {
            self.append("null")
        }
        self.append(#","created_at":""#)
        self.append(timestamp: record.createdAt)
        self.append(record.endedAt == nil ? #"","is_active":true"# : #"","is_active":false"#)
        self.append(accessOf: record)
        self.append(#"},"by":"#)
        self.append(user: person)
        self.append(revision: revision)
        self.append("}")
    }

    /// Appends the answer to `receipts`.
    mutating func append(receipts: ReceiptList, of conversation: ByteString) {
        self.append(#"{"type":"receipts","conversation_id":"#)
        self.append(jsonString: conversation)
        self.append(",")
        self.append(receipts: receipts, id: \.displayID)
        self.append("}")
    }

    mutating func append(reactedTo message: Message) {
        self.append(#"{"type":"reacted","message_id":"#)
        self.append(messageID: message.sequence, as: .string)
        self.append(revision: message.revision)
        self.append("}")
    }

    /// - Parameters:
    ///   - messages: newest pin first.
    ///   - bytes: the most bytes of the messages that are shown, of at least one.
    mutating func append(
        pins messages: ArraySlice<Message>, for viewer: UserID, within bytes: Int
    ) {
        self.append(#"{"type":"pins","messages":"#)
        let count = self.append(
            fetched: messages, on: .of(Array(messages)), for: viewer, within: bytes)
        self.append(nextPinAfter: count, of: messages)
        self.append("}")
    }

    /// - Parameter bytes: the most bytes of the messages that are shown, of at least one.
    mutating func append(found result: SearchPage, for viewer: UserID, within bytes: Int) {
        self.append(#"{"type":"search_results","messages":"#)
        let count = self.append(
            fetched: result.messages, on: .of(result.messages), for: viewer, within: bytes)
        self.append(#","next_before_id":"#)
        if let next = result.next(afterShowing: count) {
            self.append(messageID: next, as: .string)
        } else {
            self.append("null")
        }
        self.append(#","incomplete":false}"#)
    }

    /// Appends a user's id, as the value of the field before it, the user's name, and the key of a
    /// guest.
    private mutating func append(user person: Person) {
        self.append(jsonString: person.id.displayID)
        self.append(#","username":"#)
        self.append(jsonString: person.name)
        self.append(guestFlagOf: person.id)
    }

    /// Appends a message of a fetched page.
    private mutating func append(
        fetchedMessage message: Message, on page: MessagePage, for viewer: UserID
    ) {
        self.append(#"{"id":""#)
        self.append(decimal: message.sequence)
        self.append(#"","sender_id":"#)
        self.append(user: message.body.author)
        self.append(#","content":"#)
        self.append(jsonString: message.body.content)
        self.append(#","sent_at":""#)
        self.append(timestamp: message.sentAt)
        self.append(#"","is_edited":"#)
        self.append(message.state == .edited ? "true" : "false")
        self.append(#","is_deleted":"#)
        self.append(message.state == .deleted ? "true" : "false")
        self.append(annotationsOf: message, on: page, for: viewer)
        self.append(revision: message.revision)
        self.append("}")
    }

    /// Returns the number of messages that fit.
    private mutating func append(
        fetched messages: some Collection<Message>, on page: MessagePage, for viewer: UserID,
        within bytes: Int
    ) -> Int {
        self.append(array: messages, within: bytes) {
            $0.append(fetchedMessage: $1, on: page, for: viewer)
        }
    }

    /// - Parameters:
    ///   - isForward: whether the oldest message comes first.
    ///   - thread: the root, if the page shows a thread.
    ///   - bytes: the most bytes of the messages that are shown, of at least one.
    /// - Returns: the number of messages that fit.
    mutating func append(
        page: MessagePage, isForward: Bool, thread: SequenceNumber?,
        of conversation: ByteString, for viewer: UserID, within bytes: Int
    ) -> Int {
        self.append(#"{"type":"messages_fetched","conversation_id":"#)
        self.append(jsonString: conversation)
        if let thread {
            self.append(#","thread":"#)
            self.append(messageID: thread, as: .string)
        }
        self.append(#","messages":"#)
        let messages = isForward ? page.messages : page.messages.reversed()
        let count = self.append(fetched: messages, on: page, for: viewer, within: bytes)
        self.append(
            nextPage: page.next(afterShowing: count, isForward: isForward), isForward: isForward)
        self.append(revision: page.revision)
        self.append("}")
        return count
    }

    mutating func append(typing isTyping: Bool, by person: Person) {
        self.append(#"{"type":"typing","user_id":"#)
        self.append(user: person)
        self.append(isTyping ? #","is_typing":true}"# : #","is_typing":false}"#)
    }

    mutating func append(read sequences: [SequenceNumber], by person: Person) {
        self.append(#"{"type":"read","user_id":"#)
        self.append(user: person)
        self.append(#","message_ids":["#)
        for (index, sequence) in sequences.enumerated() {
            self.append(index > 0 ? #",""# : #"""#)
            self.append(decimal: sequence)
            self.append(#"""#)
        }
        self.append("]}")
    }

    mutating func append(status: MessageStatus, of sequence: SequenceNumber, at time: Timestamp) {
        self.append(#"{"type":"message.status","message_id":""#)
        self.append(decimal: sequence)
        self.append(
            status == .read
                ? #"","status":"read","timestamp":""# : #"","status":"delivered","timestamp":""#)
        self.append(timestamp: time)
        self.append(#""}"#)
    }

    mutating func append(endOf conversation: ConversationKey, by user: UserID, at time: Timestamp) {
        self.append(#"{"type":"conversation_ended","conversation_id":"#)
        self.append(jsonString: conversation.id)
        self.append(#","ended_by":"#)
        self.append(jsonString: user.displayID)
        self.append(guestFlagOf: user)
        self.append(#","timestamp":""#)
        self.append(timestamp: time)
        self.append(#""}"#)
    }

    mutating func append(userStatus change: PresenceChange) {
        self.append(#"{"type":"user_status","#)
        self.append(presenceChange: change)
    }

    mutating func append(
        presenceSummary online: Int, _ changes: [PresenceChange], in conversation: ConversationKey
    ) {
        self.append(#"{"type":"presence","conversation_id":"#)
        self.append(jsonString: conversation.id)
        self.append(#","online":"#)
        self.append(decimal: online)
        self.append(#","changes":["#)
        for (index, change) in changes.enumerated() {
            self.append(index > 0 ? ",{" : "{")
            self.append(presenceChange: change)
        }
        self.append("]}")
    }

    private mutating func append(presenceChange change: PresenceChange) {
        self.append(#""user_id":"#)
        self.append(user: change.person)
        self.append(
            change.isOnline
                ? #","status":"online","timestamp":""# : #","status":"offline","timestamp":""#)
        self.append(timestamp: change.at)
        self.append(#""}"#)
    }

    /// `action` is the action that the client requested, if known.
    mutating func append(
        error sentence: String, action: ByteString?, outcome: SendOutcome? = nil,
        extra: (inout ByteBuffer) -> Void = { _ in }
    ) {
        self.append(#"{"type":"error","action":"#)
        if let action { self.append(jsonString: action) } else { self.append("null") }
        self.append(#","error":"#)
        self.append(jsonString: sentence)
        if let outcome { self.append(outcome: outcome) }
        extra(&self)
        self.append("}")
    }

    mutating func append(
        failedSend sentence: String, localID: ByteString?, outcome: SendOutcome = .refused,
        retryAfter: Double? = nil
    ) {
        self.append(#"{"type":"message.failed","local_id":"#)
        if let localID { self.append(jsonString: localID) } else { self.append("null") }
        self.append(#","error":"#)
        self.append(jsonString: sentence)
        self.append(outcome: outcome)
        if let retryAfter { self.append(retryAfter: retryAfter) }
        self.append("}")
    }
}

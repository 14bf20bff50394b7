import Bytes
import ChatModel
import DialectKit
import JSON

/// A user as the protocol shows one.
struct ChatsUser: Sendable {
    let number: Int
    /// Of an anonymous user with the mark of one: nothing else of it is words.
    let name: ByteString

    init(_ id: UserID, number: Int, name: ByteString) {
        self.number = number
        self.name = id.displayID(named: name)
    }
}

/// A chat with what a list or a detailed answer has of it.
struct ChatsChat: Sendable {
    let id: ByteString
    let record: ConversationRecord
    /// In the order in which they joined, the first of them: a chat may have very many.
    let members: [Member]
    let memberCount: Int
    let readMarks: ReadMarks

    /// - Parameter limit: so many members are shown.
    init(id: ByteString, _ description: ConversationDetails, limit: Int) {
        self.id = id
        self.record = description.record
        self.members = Array(
            description.members.sorted { ($0.joinedAt, $0.user) < ($1.joinedAt, $1.user) }.prefix(
                limit))
        self.memberCount = description.members.count
        self.readMarks = ReadMarks(description.members)
    }
}

/// Whether a message has been read: once it was sent so, or another member's cursor has reached it.
struct ReadMarks: Sendable {
    /// What a message that was sent as read carries to other protocols.
    static let sentAsReadMetadata = Array(#"{"is_read":true}"#.utf8)

    private let cursors: HighestCursors<UserID>

    init(_ members: [Member]) {
        var cursors = HighestCursors<UserID>()
        for member in members { cursors.record(member.readCursor, of: member.user) }
        self.cursors = cursors
    }

    func isRead(_ message: Message) -> Bool {
        message.isSentAsRead
            || self.cursors.highest(excluding: message.body.author.id) >= message.sequence
    }
}

extension Message {
    var isSentAsRead: Bool {
        self.body.metadata.map { $0 == ReadMarks.sentAsReadMetadata } ?? false
    }
}

/// The server's frames, letter by letter as seed `001` prints them.
extension ByteBuffer {
    mutating func append(_ user: ChatsUser) {
        self.append(#"{"id":"#)
        self.append(decimal: user.number)
        self.append(#","username":"#)
        self.append(jsonString: user.name)
        self.append("}")
    }

    /// What everybody gets of a message, its sender too.
    ///
    /// - Parameter localID: for the sender: the id that it gave.
    mutating func append(
        created message: Message, by sender: Int, in chat: ByteString, localID: ByteString? = nil
    ) {
        self.append(#"{"type":"messageCreated","data":"#)
        self.append(message, by: sender, in: chat, isRead: message.isSentAsRead, localID: localID)
        self.append("}")
    }

    mutating func append(
        _ message: Message, by sender: Int, in chat: ByteString, isRead: Bool,
        localID: ByteString? = nil
    ) {
        self.append(#"{"id":"#)
        self.append(decimal: message.sequence)
        self.append(#","chat":"#)
        self.append(chatID: chat)
        self.append(#","sender":"#)
        self.append(
            ChatsUser(message.body.author.id, number: sender, name: message.body.author.name))
        self.append(#","text":"#)
        self.append(jsonString: message.body.content)
        self.append(#","timestamp":""#)
        self.append(timestamp: message.sentAt)
        self.append(isRead ? #"","is_read":true"# : #"","is_read":false"#)
        if let localID {
            self.append(#","local_id":"#)
            self.append(jsonString: localID)
        }
        self.append(flagsOf: message.state)
        self.append("}")
    }

    /// - Parameter lastRead: as the client said it, if it did.
    mutating func append(joined user: ChatsUser, _ chat: ByteString, lastRead: SequenceNumber?) {
        self.append(#"{"type":"chatJoined","data":{"chat":"#)
        self.append(chatID: chat)
        self.append(#","user":"#)
        self.append(user)
        if let lastRead {
            self.append(#","last_read_message":"#)
            self.append(decimal: lastRead)
        }
        self.append("}}")
    }

    mutating func append(read cursor: SequenceNumber, by user: ChatsUser, in chat: ByteString) {
        self.append(#"{"type":"messagesRead","data":{"chat":"#)
        self.append(chatID: chat)
        self.append(#","user":"#)
        self.append(user)
        self.append(#","last_read_message":"#)
        self.append(decimal: cursor)
        self.append("}}")
    }

    /// A chat's fields, without the brace at the end.
    ///
    /// - Parameters:
    ///   - updatedAt: where the chat's place in a list hangs on it, of the same moment.
    ///   - numbers: of all members that are shown.
    mutating func append(
        fieldsOf chat: ChatsChat, updatedAt: Timestamp? = nil, _ numbers: [UserID: Int]
    ) {
        self.append(#"{"id":"#)
        self.append(chatID: chat.id)
        self.append(#","participants":["#)
        for (place, member) in chat.members.enumerated() {
            if place > 0 { self.append(",") }
            self.append(
                ChatsUser(member.user, number: numbers[member.user] ?? 0, name: member.name))
        }
        self.append("]")
        if chat.members.count < chat.memberCount {
            self.append(#","participant_count":"#)
            self.append(decimal: chat.memberCount)
        }
        self.append(#","created_at":""#)
        self.append(timestamp: chat.record.createdAt)
        self.append(#"","updated_at":""#)
        self.append(timestamp: updatedAt ?? chat.record.updatedAt)
        self.append(#"""#)
    }

    /// - Parameters:
    ///   - request: what the client asked for, where that is known.
    ///   - localID: of a send that failed, where the client has given one.
    ///   - outcome: of a send that failed.
    mutating func append(
        error sentence: String, request: ByteString?, localID: ByteString? = nil,
        outcome: SendOutcome = .refused, retryAfter: Double? = nil
    ) {
        self.append(#"{"type":"error","data":{"message":"#)
        self.append(jsonString: sentence)
        if let request {
            self.append(#","request":"#)
            self.append(jsonString: request)
            if request == "newMessage" { self.append(outcome: outcome) }
        }
        if let localID {
            self.append(#","local_id":"#)
            self.append(jsonString: localID)
        }
        if let retryAfter { self.append(retryAfter: retryAfter) }
        self.append("}}")
    }
}

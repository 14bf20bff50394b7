import Bytes
import ChatModel
import DialectKit
import JSON

/// A user in the form of this protocol.
struct ChatsUser: Sendable {
    let number: Int
    let id: UserID
    /// The name of an anonymous user is marked as such, because readers see no id of it.
    let name: ByteString

    init(_ id: UserID, number: Int, name: ByteString) {
        self.number = number
        self.id = id
        self.name = id.displayID(named: name)
    }
}

/// A chat with the data of a list entry or a detailed answer.
struct ChatsChat: Sendable {
    let id: ByteString
    let record: ConversationRecord
    /// Some members, in the order in which they joined: a chat may have very many.
    let members: [Member]
    let memberCount: Int
    let readMarks: ReadMarks

    /// - Parameter limit: the maximum number of members.
    init(id: ByteString, _ description: ConversationDetails, limit: Int) {
        self.id = id
        self.record = description.record
        self.members = description.members.prefix(limit).sorted {
            ($0.joinedAt, $0.user) < ($1.joinedAt, $1.user)
        }
        self.memberCount = description.participantCount
        self.readMarks = ReadMarks(description.readers)
    }
}

/// Determines whether a message has been read: it was sent as read, or another member's cursor has
/// reached it.
struct ReadMarks: Sendable {
    /// The metadata, visible to other protocols, of a message that was sent as read.
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

/// The server's frames, byte for byte as in seed `001`.
extension ByteBuffer {
    mutating func append(_ user: ChatsUser) {
        self.append(#"{"id":"#)
        self.append(decimal: user.number)
        self.append(#","username":"#)
        self.append(jsonString: user.name)
        self.append(guestFlagOf: user.id)
        self.append("}")
    }

    /// Appends a message for all connections, including its sender's.
    ///
    /// - Parameter localID: the sender's id of the message, only for the sender.
    mutating func append(
        created message: Message, by sender: Int, in chat: ByteString, localID: ByteString? = nil
    ) {
        self.append(#"{"type":"messageCreated","data":"#)
        self.append(message, by: sender, in: chat, isRead: message.isSentAsRead, localID: localID)
        self.append("}")
    }

    mutating func append(
        _ message: Message, by sender: Int, in chat: ByteString, isRead: Bool,
        localID: ByteString? = nil, fetchedBy viewer: UserID? = nil
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
        self.append(referencesOf: message, as: .integer)
        if let viewer { self.append(stateOf: message, for: viewer) }
        self.append("}")
    }

    /// - Parameter lastRead: the value that the client sent, if any.
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

    /// Appends a chat's fields, without the closing brace.
    ///
    /// - Parameters:
    ///   - updatedAt: the time by which a list is sorted, read together with the list.
    ///   - numbers: the numbers of all listed members.
    mutating func append(
        fieldsOf chat: ChatsChat, updatedAt: Timestamp? = nil, _ numbers: [UserID: Int]
    ) {
        self.append(#"{"id":"#)
        self.append(chatID: chat.id)
        self.append(#","participants":["#)
        for (index, member) in chat.members.enumerated() {
            if index > 0 { self.append(",") }
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
    ///   - request: the type of the client's request, if known.
    ///   - localID: the client's id of a failed send, if it gave one.
    ///   - outcome: whether the message of a failed send may have been stored.
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

/// The answers of jobs.
extension ByteBuffer {
    /// - Parameter byteLimit: a longer list ends after the chat that exceeds it.
    mutating func append(list job: ChatsJob, byteLimit: Int) {
        let start = self.count
        var isCut = job.list.isCut || job.describeCount < job.list.memberships.count
        self.append(#"{"type":"chatsList","data":["#)
        var isFirst = true
        for listed in job.list.memberships {
            guard let chat = job.describedChats[listed.key.id] else { continue }
            guard self.count - start < byteLimit else {
                isCut = true
                break
            }
            if !isFirst { self.append(",") }
            isFirst = false
            self.append(fieldsOf: chat, updatedAt: listed.record.updatedAt, job.numbers)
            self.append(#","unread_count":"#)
            self.append(decimal: listed.unreadCount)
            self.append(#","unread_mentions":"#)
            self.append(decimal: listed.unreadMentionCount)
            self.append(#","last_message":"#)
            if let last = listed.lastMessage {
                self.append(
                    last, by: job.numbers[last.body.author.id] ?? 0, in: chat.id,
                    isRead: chat.readMarks.isRead(last))
            } else {
                self.append("null")
            }
            self.append("}")
        }
        self.append(isCut ? #"],"truncated":true}"# : "]}")
    }

    mutating func append(detailsOf job: ChatsJob) {
        guard let chat = job.chat else { return }
        self.append(#"{"type":"chatDetails","data":"#)
        self.append(fieldsOf: chat, job.numbers)
        self.append("}}")
    }

    /// - Parameter bytes: the most bytes of the messages that are shown, of at least one.
    mutating func append(
        messagesOf job: ChatsJob, in chat: ByteString, for viewer: UserID, within bytes: Int
    ) {
        self.append(#"{"type":"chatMessages","data":"#)
        let count = self.append(array: job.messages.reversed(), keepsLast: true, within: bytes) {
            $0.append(
                $1, by: job.numbers[$1.body.author.id] ?? 0, in: chat,
                isRead: job.chat?.readMarks.isRead($1) ?? false, fetchedBy: viewer)
        }
        let isCut = count < job.messages.count
        self.append(
            nextPage: isCut ? job.messages.prefix(count).last?.sequence : job.rest, as: .integer)
        self.append("}")
    }
}

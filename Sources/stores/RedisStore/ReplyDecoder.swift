import Bytes
import ChatModel
import RedisClient

/// A stored value that the store did not write. The reason says what is wrong with it.
struct DamagedValue: Error {
    let reason: String

    init(_ reason: String) {
        self.reason = reason
    }
}

/// Decodes the scripts' replies into values of the chat model.
enum ReplyDecoder {
    static func loaded(_ reply: RedisReply) throws(DamagedValue) -> LoadedConversation? {
        if reply.isNull { return nil }
        guard let fields = reply[0], let people = reply[1], let oldest = reply[2]?.integer,
            let pins = reply[3]
        else { throw DamagedValue("the reply is truncated") }
        let (record, head, revision) = try self.record(fields)
        var members: [Member] = []
        members.reserveCapacity(people.count / 2)
        var pairs = people.elements
        while let user = pairs.next(), let value = pairs.next() {
            members.append(try self.member(UserID(storageKey: ByteString(user.string)), value))
        }
        return LoadedConversation(
            record: record, head: head, revision: revision, oldest: Int(oldest), members: members,
            pins: try self.pinned(pins).sortedByPin())
    }

    /// Decodes a conversation's hash.
    private static func record(
        _ fields: RedisReply
    ) throws(DamagedValue) -> (record: ConversationRecord, head: SequenceNumber, revision: Revision)
    {
        var hash = HashFieldReader(fields)
        guard hash.value("origin") != nil else { throw DamagedValue("origin is missing") }
        var record = ConversationRecord.blank
        try record.visitFields(&hash)
        guard let state = hash.value("at") else { return (record, 0, 0) }
        var rest = FieldReader(state.bytes)
        guard rest.nextNumber() != nil, let revision = rest.nextNumber(),
            let head = rest.nextNumber(), let time = Int64(rest.text)
        else { throw DamagedValue("at is \(state.string)") }
        record.updatedAt.milliseconds = time
        return (record, Int(head), Int(revision))
    }

    /// A conversation in a catalog; nil if it does not exist.
    static func catalogEntry(_ key: ConversationKey, _ reply: RedisReply) throws(DamagedValue)
        -> CatalogEntry?
    {
        if reply.isNull { return nil }
        guard let fields = reply[0] else { throw DamagedValue("the reply is truncated") }
        let (record, head, _) = try self.record(fields)
        return CatalogEntry(key: key, record: record, head: head)
    }

    /// A conversation in a member's list; nil if it does not exist or the user is not a member.
    static func membership(_ key: ConversationKey, of user: UserID, _ reply: RedisReply)
        throws(DamagedValue) -> ListedMembership?
    {
        if reply.isNull || reply.kind == .integer { return nil }
        var parts = reply.elements
        guard let fields = parts.next(), let member = parts.next(), let last = parts.next(),
            let amendment = parts.next(), let unread = parts.next()?.integer,
            let mentions = parts.next()?.integer
        else { throw DamagedValue("the reply is truncated") }
        let (record, head, _) = try self.record(fields)
        var amendments: [SequenceNumber: StoredAmendment] = [:]
        if !amendment.isNull { amendments[head] = try self.amendment(amendment, of: head) }
        return ListedMembership(
            key: key, record: record, head: head, member: try self.member(user, member),
            lastMessage: last.isNull ? nil : try self.message(last, amendments),
            unreadCount: Int(unread), unreadMentionCount: Int(mentions))
    }

    /// Index entries, each with its name and score.
    static func indexEntries(_ reply: RedisReply) throws(DamagedValue) -> [PageCursor] {
        var entries: [PageCursor] = []
        entries.reserveCapacity(reply.count / 2)
        var parts = reply.elements
        while let name = parts.next(), let score = parts.next() {
            guard let milliseconds = score.integer else {
                throw DamagedValue("the index entry \(name.string) has the score \(score.string)")
            }
            entries.append(
                PageCursor(time: Timestamp(milliseconds: milliseconds), id: ByteString(name.string))
            )
        }
        return entries
    }

    static func numbers(_ reply: RedisReply) throws(DamagedValue) -> [Int] {
        var numbers: [Int] = []
        numbers.reserveCapacity(reply.count)
        for part in reply.elements {
            guard let number = part.integer else {
                throw DamagedValue("\(part.string) is not a number")
            }
            numbers.append(Int(number))
        }
        return numbers
    }

    static func users(_ reply: RedisReply) -> [UserID?] {
        reply.elements.map { $0.isNull ? nil : UserID(storageKey: ByteString($0.string)) }
    }

    /// Separates a member's name, an optional agent, and an optional `given`. None of them may
    /// contain control characters.
    private static let agentMark = UInt8(ascii: "\n")
    private static let givenName = "given"

    /// Appends what follows a member's name.
    static func appendEnd(of member: Member, to text: inout ByteBuffer) {
        guard member.agent != nil || member.isNameGiven else { return }
        text.append(self.agentMark)
        text.append(text: member.agent?.string ?? "")
        guard member.isNameGiven else { return }
        text.append(self.agentMark)
        text.append(text: self.givenName)
    }

    /// `role joined read delivered name`, separated by blanks; agent and `given` follow the name.
    private static func member(_ user: UserID, _ value: RedisReply) throws(DamagedValue) -> Member {
        var rest = FieldReader(value.bytes)
        guard let role = rest.nextNumber().flatMap({ Member.Role(rawValue: UInt8(clamping: $0)) }),
            let joined = rest.nextNumber(),
            let read = rest.nextNumber(), let delivered = rest.nextNumber()
        else { throw DamagedValue("a member is not what was stored") }
        let (name, end) = rest.split(at: self.agentMark)
        let parts = end?.split(separator: "\n", omittingEmptySubsequences: false) ?? []
        var member = Member(
            user: user, name: ByteString(name),
            agent: parts.first.flatMap { $0.isEmpty ? nil : ByteString(String($0)) }, role: role,
            joinedAt: Timestamp(milliseconds: joined),
            readCursor: Int(read), deliveredCursor: Int(delivered))
        member.isNameGiven = parts.count > 1 && parts[1] == self.givenName
        return member
    }

    static func recent(_ reply: RedisReply) throws(DamagedValue) -> [RecentMessage] {
        var messages: [RecentMessage] = []
        messages.reserveCapacity(reply.count / 4)
        var parts = reply.elements
        while let sequence = parts.next(), let author = parts.next(), let clientID = parts.next(),
            let time = parts.next()
        {
            guard let number = sequence.integer, let sentAt = time.integer else {
                throw DamagedValue("a message is not what was stored")
            }
            messages.append(
                RecentMessage(
                    sequence: Int(number), author: UserID(storageKey: ByteString(author.string)),
                    clientMessageID: clientID.bytes.isEmpty
                        ? nil : ClientMessageID(stored: ByteString(clientID.string)),
                    sentAt: Timestamp(milliseconds: sentAt)))
        }
        return messages
    }
}

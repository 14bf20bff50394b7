internal import Bytes
internal import ChatModel

extension MessageAnnotations: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(record: self.reply)
        output.append(record: self.mentions)
        output.append(record: self.reactions.map(OptionalReactions.init))
        output.append(record: self.pin)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> MessageAnnotations {
        let reply = try input.optionalRecord(Reply.self)
        let mentions = try input.optionalRecord(Mentions.self)
        let reactions = try input.optionalRecord(OptionalReactions.self)?.reactions
        let pin = try input.optionalRecord(PinState.self)
        guard
            let annotations = MessageAnnotations(
                reply: reply, mentions: mentions, reactions: reactions, pin: pin)
        else { throw .malformed(.count) }
        return annotations
    }
}

extension Reply: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(signed: self.to)
        output.append(count: self.thread)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let target = try input.signed()
        return Self(to: target, thread: try input.count())
    }
}

extension Mentions: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(flag: self.includesEveryone)
        output.append(users: self.users)
        output.append(users: self.nonMembers)
        output.append(flag: self.isByAdmin)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let includesEveryone = try input.flag()
        let users = try input.users()
        let nonMembers = try input.users()
        return Self(
            includesEveryone: includesEveryone, users: users, nonMembers: nonMembers,
            isByAdmin: try input.flag())
    }
}

/// Reactions that may be empty. An empty record means that there are none at all, so this one
/// always has a field.
private struct OptionalReactions: WireValue {
    let reactions: Reactions

    init(_ reactions: Reactions) {
        self.reactions = reactions
    }

    func write(to output: inout ByteBuffer) {
        output.append(list: self.reactions.groups)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        Self(Reactions(try input.list()))
    }
}

extension Reactions.UserGroup: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(string: self.emoji.text)
        output.append(users: self.users)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let emoji = Emoji(stored: try input.byteString())
        return Self(emoji, users: try input.users())
    }
}

extension PinState: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(flag: self.isPinned)
        output.append(record: self.by)
        output.append(milliseconds: self.at)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let isPinned = try input.flag()
        let person = try input.person()
        return Self(isPinned: isPinned, by: person, at: try input.timestamp())
    }
}

extension ReactionChange: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(string: self.emoji.text)
        output.append(user: self.user)
        output.append(flag: self.isOn)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let emoji = Emoji(stored: try input.byteString())
        let user = try input.user()
        return Self(emoji, by: user, isOn: try input.flag())
    }
}

extension Amendment {
    /// Appends the fields. The text of an edit is that of the message, which precedes them.
    func writeFields(to output: inout ByteBuffer) {
        switch self {
        case .edited: output.append(1)
        case .deleted: output.append(2)
        case .reacted(let changes):
            output.append(3)
            output.append(list: changes)
        case .pinned(let pin):
            output.append(4)
            output.append(record: pin)
        }
    }

    /// - Parameter message: the message after the amendment.
    static func readFields(
        from input: inout WireReader, of message: Message
    ) throws(WireDecodingError) -> Self {
        switch try input.byte() {
        case 1: return .edited(content: message.body.content)
        case 2: return .deleted
        case 3: return .reacted(try input.list())
        case 4: return .pinned(try input.record())
        default: throw .unknownKind
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func append(users: [UserID]) {
        self.append(count: users.count)
        for user in users { self.append(user: user) }
    }
}

extension WireReader {
    fileprivate mutating func users() throws(WireDecodingError) -> [UserID] {
        var users: [UserID] = []
        for _ in 0..<(try self.listCount()) { users.append(try self.user()) }
        return users
    }
}

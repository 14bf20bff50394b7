import Bytes
import ChatModel

/// The format of a message's reply and mentions, in a field of its own behind the message in the
/// stream. It never changes, so amendments do not repeat it.
///
/// A field of its own, because scripts see without a search whether a message has it.
///
/// The field begins with the message replied to, the root of its thread (both 0 without a reply),
/// the kind of mentions and the byte count of the users, each followed by a blank. The users
/// follow, then those that were no members, each percent-encoded and followed by a blank. So a
/// script finds a user by searching for it between two blanks.
enum StoredReferences {
    static let field: StaticString = "r"

    /// `everyone` may also name users.
    private enum MentionKind: UInt8 { case none = 0, users = 1, everyone = 2 }

    /// Whether a message has this field.
    static func exist(in annotations: MessageAnnotations?) -> Bool {
        annotations?.reply != nil || annotations?.mentions != nil
    }

    /// `Mentions.isByAdmin` belongs to requests, and is not stored.
    static func write(_ annotations: MessageAnnotations, to output: inout ByteBuffer) {
        let mentions = annotations.mentions
        let kind: MentionKind =
            mentions.map { $0.includesEveryone ? .everyone : .users } ?? .none
        output.append(number: annotations.reply?.to ?? 0)
        output.append(number: annotations.reply?.thread ?? 0)
        output.append(number: kind.rawValue)
        var users = ByteBuffer()
        for user in mentions?.users ?? [] { self.append(user, to: &users) }
        output.append(number: users.count)
        output.append(contentsOf: users.bytes)
        for user in mentions?.nonMembers ?? [] { self.append(user, to: &output) }
    }

    /// The user as a script searches for it.
    static func append(_ user: UserID, to output: inout ByteBuffer) {
        output.append(percentEncoding: user.storageKey)
        output.append(UInt8(ascii: " "))
    }

    /// Nil if the bytes do not have this format.
    static func read(_ bytes: UnsafeRawBufferPointer) -> MessageAnnotations? {
        var rest = FieldReader(bytes)
        guard let to = rest.nextCount(), let thread = rest.nextCount(),
            let kind = rest.nextNumber().flatMap({ MentionKind(rawValue: UInt8(clamping: $0)) }),
            let size = rest.nextNumber(), let named = rest.nextField(byteCount: size),
            let users = self.users(named), let others = self.users(rest)
        else { return nil }
        let mentions =
            kind == .none
            ? nil
            : Mentions(
                includesEveryone: kind == .everyone, users: users, nonMembers: others)
        return MessageAnnotations(
            reply: to == 0 ? nil : Reply(to: to, thread: thread), mentions: mentions)
    }

    private static func users(_ field: FieldReader) -> [UserID]? {
        var (users, rest) = ([UserID](), field)
        while !rest.isEmpty {
            guard let word = rest.nextWord(), let key = PercentEncoding.decode(word.utf8) else {
                return nil
            }
            users.append(UserID(storageKey: ByteString(key)))
        }
        return users
    }

    /// The entry of a reply in its conversation's sorted set of threads: root and reply, each in 16
    /// hexadecimal digits. Nil for a message that is no reply.
    static func writeThreadEntry(of message: Message, to output: inout ByteBuffer) {
        guard let reply = message.body.annotations?.reply else { return }
        output.append(hexadecimal: reply.thread)
        output.append(UInt8(ascii: ":"))
        output.append(hexadecimal: message.sequence)
    }

    /// The root and the reply of such an entry; nil for another text.
    static func threadEntry(_ text: String) -> (root: SequenceNumber, reply: SequenceNumber)? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 16 }),
            let root = Int(parts[0], radix: 16), let reply = Int(parts[1], radix: 16),
            root > 0, reply > 0
        else { return nil }
        return (root, reply)
    }
}

/// The format of a message's reactions and pin: their whole present state, as the end of an
/// amendment. A deleted message has none.
///
/// It begins with the byte counts of the two parts, 0 for none. The reactions are their
/// number, and for each the byte count of the emoji, the number of users, the emoji and the users
/// (byte count, text). The pin is a number (1 if the message is pinned), the time, the byte counts
/// of the user and of its name, these texts, and behind a mark the agent if there is one.
enum StoredMarks {
    static func exist(in annotations: MessageAnnotations?) -> Bool {
        annotations?.reactions != nil || annotations?.pin != nil
    }

    static func write(_ annotations: MessageAnnotations, to output: inout ByteBuffer) {
        var (reactions, pin) = (ByteBuffer(), ByteBuffer())
        if let present = annotations.reactions { self.write(present, to: &reactions) }
        if let state = annotations.pin { self.write(state, to: &pin) }
        output.append(number: reactions.count)
        output.append(number: pin.count)
        output.append(contentsOf: reactions.bytes)
        output.append(contentsOf: pin.bytes)
    }

    private static func write(_ reactions: Reactions, to output: inout ByteBuffer) {
        output.append(number: reactions.groups.count)
        for group in reactions.groups {
            output.append(number: group.emoji.text.byteCount)
            output.append(number: group.users.count)
            output.append(text: group.emoji.text.string)
            for user in group.users {
                output.append(number: user.storageKey.byteCount)
                output.append(text: user.storageKey.string)
            }
        }
    }

    private static func write(_ pin: PinState, to output: inout ByteBuffer) {
        output.append(number: pin.isPinned ? 1 : 0)
        output.append(number: pin.at.milliseconds)
        output.append(number: pin.by.id.storageKey.byteCount)
        output.append(number: pin.by.name.byteCount)
        output.append(text: pin.by.id.storageKey.string)
        output.append(text: pin.by.name.string)
        if let agent = pin.by.agent { output.append(present: agent) }
    }

    /// Nil if the bytes do not have this format.
    static func read(_ bytes: UnsafeRawBufferPointer) -> MessageAnnotations? {
        var rest = FieldReader(bytes)
        guard let reactionsSize = rest.nextNumber(), let pinSize = rest.nextNumber(),
            let reactionsField = rest.nextField(byteCount: reactionsSize),
            let pinField = rest.nextField(byteCount: pinSize), rest.isEmpty
        else { return nil }
        var (reactions, pin) = (Reactions?.none, PinState?.none)
        if reactionsSize > 0 {
            reactions = self.reactions(reactionsField)
            if reactions == nil { return nil }
        }
        if pinSize > 0 {
            pin = self.pin(pinField)
            if pin == nil { return nil }
        }
        return MessageAnnotations(reply: nil, mentions: nil, reactions: reactions, pin: pin)
    }

    private static func reactions(_ field: FieldReader) -> Reactions? {
        var (groups, rest) = ([Reactions.UserGroup](), field)
        guard let count = rest.nextCount() else { return nil }
        while groups.count < count {
            guard let emojiSize = rest.nextNumber(), let userCount = rest.nextCount(),
                let emoji = rest.nextField(byteCount: emojiSize)?.text, userCount > 0
            else { return nil }
            var users: [UserID] = []
            while users.count < userCount {
                guard let size = rest.nextNumber(),
                    let key = rest.nextField(byteCount: size)?.text
                else { return nil }
                users.append(UserID(storageKey: ByteString(key)))
            }
            groups.append(Reactions.UserGroup(Emoji(stored: ByteString(emoji)), users: users))
        }
        return rest.isEmpty ? Reactions(groups) : nil
    }

    private static func pin(_ field: FieldReader) -> PinState? {
        var rest = field
        guard let isPinned = rest.nextNumber(), (0...1).contains(isPinned),
            let time = rest.nextNumber(), let userSize = rest.nextNumber(),
            let nameSize = rest.nextNumber(),
            let user = rest.nextField(byteCount: userSize)?.text,
            let name = rest.nextField(byteCount: nameSize)?.text
        else { return nil }
        let agent = rest.optionalBytes.map { ByteString(String(decoding: $0, as: UTF8.self)) }
        return PinState(
            isPinned: isPinned == 1,
            by: Person(
                id: UserID(storageKey: ByteString(user)), name: ByteString(name), agent: agent),
            at: Timestamp(milliseconds: time))
    }
}

/// The format of a pinned message, as the conversation's hash of pins has it: the whole message in
/// its present state, so that the pin remains when the stream no longer has the message.
///
/// The first part never changes, so a script can keep it: its byte count and a blank; the byte
/// count of the references, a blank and the references; the message without its text. The rest is
/// the message as an amendment.
enum StoredPin {
    static func write(_ message: Message, revision: Revision, to output: inout ByteBuffer) {
        var (first, references) = (ByteBuffer(), ByteBuffer())
        if let annotations = message.body.annotations, StoredReferences.exist(in: annotations) {
            StoredReferences.write(annotations, to: &references)
        }
        first.append(number: references.count)
        first.append(contentsOf: references.bytes)
        let body = MessageBody(
            author: message.body.author, clientMessageID: message.body.clientMessageID, content: "")
        StoredMessage.write(
            Message(
                sequence: message.sequence, revision: 0, sentAt: message.sentAt, body: body),
            revision: 0, to: &first)
        output.append(number: first.count)
        output.append(contentsOf: first.bytes)
        StoredAmendment.write(message, revision: revision, to: &output)
    }

    /// Nil if the bytes do not have this format, or if the message is not pinned.
    static func read(_ bytes: UnsafeRawBufferPointer, as sequence: SequenceNumber) -> Message? {
        var rest = FieldReader(bytes)
        guard let size = rest.nextNumber(), var first = rest.nextField(byteCount: size),
            let referencesSize = first.nextNumber(),
            let references = first.nextField(byteCount: referencesSize),
            var message = StoredMessage.read(first.remaining, as: sequence),
            let present = StoredAmendment(rest.remaining)
        else { return nil }
        if referencesSize > 0 {
            guard let read = StoredReferences.read(references.remaining) else { return nil }
            message.body = message.body.with(read)
        }
        message = present.applied(to: message)
        return message.isPinned ? message : nil
    }
}

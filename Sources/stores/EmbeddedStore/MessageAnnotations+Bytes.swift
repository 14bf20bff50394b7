import Bytes
import ChatModel

/// The format of annotations in a row: flags, then the parts that are present, in the order of the
/// flags. Numbers are LEB128 of their 64 bits, texts are UTF-8 after their length.
///
/// It is part of the file format. Only the request uses `Mentions.isByAdmin`, so it is not stored.
extension MessageAnnotations {
    private struct Parts: OptionSet {
        let rawValue: UInt8

        static let reply = Parts(rawValue: 1)
        static let mentions = Parts(rawValue: 2)
        static let reactions = Parts(rawValue: 4)
        static let pin = Parts(rawValue: 8)
        /// Modifies `mentions`.
        static let everyone = Parts(rawValue: 16)
        /// Modifies `pin`.
        static let isPinned = Parts(rawValue: 32)
        static let all: Parts = [.reply, .mentions, .reactions, .pin, .everyone, .isPinned]
    }

    var bytes: [UInt8] {
        var parts: Parts = []
        if self.reply != nil { parts.insert(.reply) }
        if let mentions = self.mentions {
            parts.formUnion(mentions.includesEveryone ? [.mentions, .everyone] : .mentions)
        }
        if self.reactions != nil { parts.insert(.reactions) }
        if let pin = self.pin { parts.formUnion(pin.isPinned ? [.pin, .isPinned] : .pin) }
        var output = AnnotationWriter(parts.rawValue)
        if let reply = self.reply {
            output.append(reply.to)
            output.append(reply.thread)
        }
        if let mentions = self.mentions {
            output.append(mentions.users)
            output.append(mentions.nonMembers)
        }
        if let reactions = self.reactions {
            output.append(reactions.groups.count)
            for group in reactions.groups {
                output.append(group.emoji.text)
                output.append(group.users)
            }
        }
        if let pin = self.pin {
            output.append(Int(pin.at.milliseconds))
            output.append(pin.by.id.storageKey)
            output.append(pin.by.name)
            // The count of agents: 0 or 1.
            output.append(pin.by.agent == nil ? 0 : 1)
            if let agent = pin.by.agent { output.append(agent) }
        }
        return output.bytes
    }

    /// Nil unless the bytes are exactly those of some annotations.
    convenience init?(stored bytes: UnsafeRawBufferPointer) {
        var input = AnnotationReader(bytes)
        guard let flags = input.nextByte() else { return nil }
        let parts = Parts(rawValue: flags)
        guard parts.isSubset(of: .all), parts.contains(.mentions) || !parts.contains(.everyone),
            parts.contains(.pin) || !parts.contains(.isPinned)
        else { return nil }
        var reply: Reply?
        var mentions: Mentions?
        var reactions: Reactions?
        var pin: PinState?
        if parts.contains(.reply) {
            guard let target = input.nextNumber(), let thread = input.nextNumber() else {
                return nil
            }
            reply = Reply(to: target, thread: thread)
        }
        if parts.contains(.mentions) {
            guard let users = input.nextUsers(), let nonMembers = input.nextUsers() else {
                return nil
            }
            mentions = Mentions(
                includesEveryone: parts.contains(.everyone), users: users, nonMembers: nonMembers)
        }
        if parts.contains(.reactions) {
            guard let groups = input.nextGroups() else { return nil }
            reactions = Reactions(groups)
        }
        if parts.contains(.pin) {
            guard let time = input.nextNumber(), let person = input.nextPerson() else { return nil }
            pin = PinState(
                isPinned: parts.contains(.isPinned), by: person,
                at: Timestamp(milliseconds: Int64(time)))
        }
        guard input.isAtEnd else { return nil }
        self.init(reply: reply, mentions: mentions, reactions: reactions, pin: pin)
    }
}

private struct AnnotationWriter {
    var bytes: [UInt8]

    init(_ first: UInt8) {
        self.bytes = [first]
    }

    mutating func append(_ number: Int) {
        var rest = UInt64(bitPattern: Int64(number))
        while rest >= 0x80 {
            self.bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        self.bytes.append(UInt8(rest))
    }

    mutating func append(_ text: ByteString) {
        self.append(text.byteCount)
        text.withBytes { self.bytes.append(contentsOf: $0) }
    }

    mutating func append(_ users: [UserID]) {
        self.append(users.count)
        for user in users { self.append(user.storageKey) }
    }
}

/// Each function returns nil at the end of the bytes, and for a value that is never written.
private struct AnnotationReader {
    private var rest: UnsafeRawBufferPointer.SubSequence

    init(_ bytes: UnsafeRawBufferPointer) {
        self.rest = bytes[...]
    }

    var isAtEnd: Bool { self.rest.isEmpty }

    mutating func nextByte() -> UInt8? { self.rest.popFirst() }

    mutating func nextNumber() -> Int? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            guard let byte = self.rest.popFirst() else { return nil }
            // The tenth byte has the 64th bit only, and the last byte of a number is not 0, so that
            // every number has one form.
            guard shift < 63 || byte <= 1, shift == 0 || byte != 0 else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return Int(Int64(bitPattern: value)) }
        }
        return nil
    }

    /// A number of elements that follow, each at least one byte long.
    mutating func nextCount() -> Int? {
        guard let count = self.nextNumber(), count >= 0, count <= self.rest.count else {
            return nil
        }
        return count
    }

    mutating func nextText() -> ByteString? {
        guard let count = self.nextCount(),
            let text = String(validating: self.rest.prefix(count), as: UTF8.self)
        else { return nil }
        self.rest = self.rest.dropFirst(count)
        return ByteString(text)
    }

    mutating func nextUsers() -> [UserID]? {
        guard let count = self.nextCount() else { return nil }
        var users: [UserID] = []
        users.reserveCapacity(count)
        for _ in 0..<count {
            guard let key = self.nextText() else { return nil }
            users.append(UserID(storageKey: key))
        }
        return users
    }

    mutating func nextGroups() -> [Reactions.UserGroup]? {
        guard let count = self.nextCount() else { return nil }
        var groups: [Reactions.UserGroup] = []
        groups.reserveCapacity(count)
        for _ in 0..<count {
            guard let emoji = self.nextText(), let users = self.nextUsers() else { return nil }
            groups.append(Reactions.UserGroup(Emoji(stored: emoji), users: users))
        }
        return groups
    }

    mutating func nextPerson() -> Person? {
        guard let id = self.nextText(), let name = self.nextText(), let agents = self.nextCount(),
            agents <= 1
        else { return nil }
        var agent: ByteString?
        if agents == 1 {
            guard let text = self.nextText() else { return nil }
            agent = text
        }
        return Person(id: UserID(storageKey: id), name: name, agent: agent)
    }
}

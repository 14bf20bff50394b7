public import Bytes

/// A reaction's emoji: one grapheme cluster, or a name between colons such as `:tada:`.
public struct Emoji: Sendable, Hashable, CustomStringConvertible {
    public let text: ByteString

    /// The most bytes of UTF-8, after variation selectors are removed.
    public static let byteLimit = 32

    /// Nil unless the text is an emoji within the limit. Variation selectors are removed, because
    /// they would make two emoji of `❤` and `❤️`.
    public init?(given text: String) {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars where !Self.isVariationSelector(scalar) {
            scalars.append(scalar)
        }
        let text = String(scalars)
        guard (1...Self.byteLimit).contains(text.utf8.count),
            Self.isName(text) || Self.isCharacter(text)
        else { return nil }
        self.text = ByteString(text)
    }

    /// The emoji as a store keeps it.
    public init(stored text: ByteString) {
        self.text = text
    }

    /// The blocks "Variation Selectors" and "Variation Selectors Supplement" of Unicode.
    private static func isVariationSelector(_ scalar: Unicode.Scalar) -> Bool {
        (0xFE00...0xFE0F).contains(scalar.value) || (0xE0100...0xE01EF).contains(scalar.value)
    }

    /// At least one letter, digit, `_`, `+` or `-` between two colons.
    private static func isName(_ text: String) -> Bool {
        let bytes = text.utf8
        guard bytes.count > 2, bytes.first == UInt8(ascii: ":"), bytes.last == UInt8(ascii: ":")
        else { return false }
        return bytes.dropFirst().dropLast().allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "+"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }

    private static func isCharacter(_ text: String) -> Bool {
        // Characters that leave no ink, or change the direction of writing, would be a reaction
        // that readers do not see.
        guard text.count == 1, NameRule.allows(text, limit: Self.byteLimit) else { return false }
        return text.unicodeScalars.allSatisfy { scalar in
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator, .spaceSeparator, .surrogate,
                .unassigned, .privateUse:
                false
            default: true
            }
        }
    }

    public var description: String { self.text.string }
}

/// Sets whether a user has one reaction. It names a state, so that a repeat does no harm.
public struct ReactionChange: Sendable, Equatable {
    public let emoji: Emoji
    public let user: UserID
    public let isOn: Bool

    public init(_ emoji: Emoji, by user: UserID, isOn: Bool) {
        self.emoji = emoji
        self.user = user
        self.isOn = isOn
    }
}

/// The reactions to a message.
public struct Reactions: Sendable, Equatable {
    /// The users that reacted with one emoji, in the order of their reactions; at least one.
    public struct UserGroup: Sendable, Equatable {
        public let emoji: Emoji
        public var users: [UserID]

        public init(_ emoji: Emoji, users: [UserID]) {
            self.emoji = emoji
            self.users = users
        }
    }

    /// In the order of the first reaction with each emoji.
    public private(set) var groups: [UserGroup]

    /// The most different emoji on a message.
    public static let emojiLimit = 30
    /// The most different emoji of one user on a message.
    public static let emojiPerUserLimit = 20
    /// The most users that an event lists for each emoji.
    public static let listedUserLimit = 20

    public init(_ groups: [UserGroup] = []) {
        self.groups = groups
    }

    /// Applies a change. A change that is already done has no effect.
    ///
    /// - Throws: `tooManyEmoji` or `tooManyReactions` if a limit forbids the reaction. A user can
    ///   always join an emoji that the message has.
    public mutating func apply(_ change: ReactionChange) throws(ChatError) {
        let index = self.groups.firstIndex { $0.emoji == change.emoji }
        guard change.isOn else {
            guard let index else { return }
            self.groups[index].users.removeAll { $0 == change.user }
            if self.groups[index].users.isEmpty { self.groups.remove(at: index) }
            return
        }
        if let index, self.groups[index].users.contains(change.user) { return }
        if let index {
            self.groups[index].users.append(change.user)
            return
        }
        guard
            self.groups.count(where: { $0.users.contains(change.user) }) < Self.emojiPerUserLimit
        else {
            throw .tooManyReactions(limit: Self.emojiPerUserLimit)
        }
        guard self.groups.count < Self.emojiLimit else {
            throw .tooManyEmoji(limit: Self.emojiLimit)
        }
        self.groups.append(UserGroup(change.emoji, users: [change.user]))
    }
}

internal import Bytes
internal import ChatModel
internal import DialectKit
internal import HTTPWire
internal import Identity

/// The resource that a path of the API names.
enum RoomsRoute: Equatable {
    case list
    case create
    case conversation(ByteString)
    case join(ByteString)
    case end(ByteString)
    case messages(ByteString)
    case message(ByteString, SequenceNumber)
    case reaction(ByteString, SequenceNumber, Emoji)
    case pin(ByteString, SequenceNumber)
    case pins(ByteString)
    /// Searches all conversations of the user.
    case search
    case members(ByteString)
    case member(ByteString, UserID)
    case leave(ByteString)
    case read(ByteString)
    case receipts(ByteString)

    static let root = "/api/conversations"
    static let searchPath = "/api/search"

    /// Parses a path, with or without a trailing slash. The path `…/create` never names a
    /// conversation.
    init(_ path: String) throws(HTTPError) {
        if path == Self.searchPath || path == Self.searchPath + "/" {
            self = .search
            return
        }
        guard path == Self.root || path.hasPrefix(Self.root + "/") else { throw .notFound }
        var parts = path.dropFirst(Self.root.count).split(
            separator: "/", omittingEmptySubsequences: false
        ).dropFirst()
        if parts.last == "" { parts.removeLast() }
        switch (parts.first, parts.dropFirst().first, parts.count) {
        case (nil, _, _): self = .list
        case ("create", _, 1): self = .create
        case (let id?, _, 1): self = .conversation(try Self.id(id))
        case (let id?, "join", 2): self = .join(try Self.id(id))
        case (let id?, "end", 2): self = .end(try Self.id(id))
        case (let id?, "leave", 2): self = .leave(try Self.id(id))
        case (let id?, "read", 2): self = .read(try Self.id(id))
        case (let id?, "receipts", 2): self = .receipts(try Self.id(id))
        case (let id?, "messages", 2): self = .messages(try Self.id(id))
        case (let id?, "messages", 3):
            self = .message(try Self.id(id), try Self.messageID(parts[parts.endIndex - 1]))
        case (let id?, "messages", 4) where parts.last == "pin":
            self = .pin(try Self.id(id), try Self.messageID(parts[parts.startIndex + 2]))
        case (let id?, "messages", 5) where parts[parts.startIndex + 3] == "reactions":
            self = .reaction(
                try Self.id(id), try Self.messageID(parts[parts.startIndex + 2]),
                try Self.emoji(parts[parts.startIndex + 4]))
        case (let id?, "pins", 2): self = .pins(try Self.id(id))
        case (let id?, "members", 2): self = .members(try Self.id(id))
        case (let id?, "members", 3):
            self = .member(try Self.id(id), try Self.user(parts[parts.endIndex - 1]))
        default: throw .notFound
        }
    }

    /// An id that no conversation can have is not found.
    private static func id(_ part: Substring) throws(HTTPError) -> ByteString {
        guard let id = PercentEncoding.decode(part.utf8), IdentityRule.conversation.allows(id)
        else {
            throw HTTPError(.notFound, "room_id: must be \(IdentityRule.conversation.text)")
        }
        return ByteString(id)
    }

    private static func messageID(_ part: Substring) throws(HTTPError) -> SequenceNumber {
        guard let sequence = PercentEncoding.decode(part.utf8).flatMap({ MessageID.sequence($0) })
        else {
            throw HTTPError(.notFound, "message_id: must be a message id")
        }
        return sequence
    }

    private static func emoji(_ part: Substring) throws(HTTPError) -> Emoji {
        guard let emoji = PercentEncoding.decode(part.utf8).flatMap({ Emoji(given: $0) }) else {
            throw .badRequest(
                "emoji: must be one emoji, or a name between colons, "
                    + "of at most \(Emoji.byteLimit) bytes")
        }
        return emoji
    }

    /// The id as other users see it: `guest:` stands before the id of an anonymous user.
    private static func user(_ part: Substring) throws(HTTPError) -> UserID {
        let text = PercentEncoding.decode(part.utf8) ?? ""
        let user = UserID(displayID: ByteString(text))
        // The text too: its first character may look like the mark of an anonymous user.
        guard NameRule.allowsExisting(text, limit: .max),
            NameRule.allowsExisting(user.name.string, limit: 128)
        else { throw HTTPError(.notFound, "user_id: must be 1 to 128 \(NameRule.existingText)") }
        return user
    }

    private var methods: [HTTPMethod] {
        switch self {
        case .list, .pins, .receipts, .search: [.get, .head]
        case .conversation: [.get, .head, .patch]
        case .reaction, .pin: [.put, .delete]
        case .create, .join, .end, .leave, .read: [.post]
        case .messages, .members: [.get, .head, .post]
        case .message: [.patch, .delete]
        case .member: [.delete]
        }
    }

    func check(_ method: HTTPMethod) throws(HTTPError) {
        guard self.methods.contains(method) else { throw .methodNotAllowed(self.methods) }
    }
}

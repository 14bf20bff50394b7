internal import Bytes
internal import HTTPWire
internal import Identity

/// The operation that a path of the API names.
enum RoomsRoute: Equatable {
    case list
    case create
    case conversation(ByteString)
    case join(ByteString)
    case end(ByteString)
    case messages(ByteString)

    static let root = "/api/conversations"

    /// Parses a path, with or without a trailing slash. The path `…/create` never names a
    /// conversation.
    init(_ path: String) throws(HTTPError) {
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
        case (let id?, "messages", 2): self = .messages(try Self.id(id))
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

    func check(_ method: HTTPMethod) throws(HTTPError) {
        switch self {
        case .list, .conversation, .messages:
            guard method == .get || method == .head else { throw .methodNotAllowed("GET", "HEAD") }
        case .create, .join, .end:
            guard method == .post else { throw .methodNotAllowed("POST") }
        }
    }
}

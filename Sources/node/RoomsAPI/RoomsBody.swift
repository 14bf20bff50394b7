internal import Bytes
internal import ChatModel
internal import DialectKit
internal import Gateway
internal import HTTPWire
internal import Identity
internal import JSON
internal import RoomsDialect

/// The body of a request: a JSON object, parsed strictly.
struct RoomsBody {
    let document: JSONDocument
    let bytes: [UInt8]
    private let limits: Limits

    static let titleLimit = 200
    static let descriptionLimit = 2000

    init(_ request: HTTPRequest, _ bytes: [UInt8]) throws(HTTPError) {
        guard Self.isJSON(request.contentType) else {
            throw HTTPError(.unsupportedMediaType, "Content-Type: must be application/json")
        }
        var document = JSONDocument(depthLimit: request.limits.jsonDepth)
        do throws(JSONError) {
            try document.parse(bytes.span.bytes)
        } catch {
            throw .badRequest("body: \(error.description)")
        }
        guard document.kind(of: document.root) == .object else {
            throw .badRequest("body: must be a JSON object")
        }
        self.document = document
        self.bytes = bytes
        self.limits = request.limits
    }

    /// Parses a body with a message's text, which has a limit of its own.
    static func ofMessage(_ request: HTTPRequest, _ bytes: [UInt8]) throws(HTTPError) -> RoomsBody {
        guard bytes.count <= request.limits.messageBytes else {
            throw HTTPError(
                .contentTooLarge,
                "body: the message is longer than \(request.limits.messageBytes) bytes")
        }
        return try RoomsBody(request, bytes)
    }

    /// Requires a type that pages of other origins cannot send without a preflight. JSON is UTF-8
    /// (RFC 8259 section 8.1).
    private static func isJSON(_ contentType: String?) -> Bool {
        guard
            let parts = contentType?.lowercased().split(
                separator: ";", omittingEmptySubsequences: false)
        else { return false }
        let trimmed = parts.map { part in part.filter { $0 != " " && $0 != "\t" && $0 != "\"" } }
        guard trimmed[0] == "application/json" else { return false }
        return trimmed.dropFirst().allSatisfy { !$0.hasPrefix("charset=") || $0 == "charset=utf-8" }
    }

    /// Nil if the field is missing.
    func title() throws(HTTPError) -> String? {
        guard let title = try self.text("title") else { return nil }
        guard NameRule.allows(title, limit: Self.titleLimit) else {
            throw .badRequest("title: must be 1 to \(Self.titleLimit) \(NameRule.text)")
        }
        return title
    }

    /// May contain line breaks and tabs. Nil if the field is missing.
    func description() throws(HTTPError) -> String? {
        guard let text = try self.text("description") else { return nil }
        guard text.unicodeScalars.count <= Self.descriptionLimit,
            text.unicodeScalars.allSatisfy({
                !$0.isControl || $0 == "\n" || $0 == "\r" || $0 == "\t"
            })
        else {
            throw .badRequest(
                "description: must be at most \(Self.descriptionLimit) characters, "
                    + "of control characters only tabs and line ends"
            )
        }
        return text
    }

    /// Nil if the field is missing.
    func userID() throws(HTTPError) -> String? {
        try self.name("user_id", of: self.document.root)
    }
    func username() throws(HTTPError) -> String? {
        try self.name("username", of: self.document.root)
    }

    /// The text of a message, within the limit.
    func content() throws(HTTPError) -> String {
        guard let content = try self.text("content") else {
            throw .badRequest("content: is missing")
        }
        do throws(ChatError) {
            try self.limits.check(content: content)
        } catch {
            throw HTTPError(error)
        }
        return content
    }

    /// The message to which a message replies, and the users that it mentions.
    func annotations(isAdmin: Bool) throws(HTTPError) -> MessageAnnotations? {
        let bytes = self.bytes.span.bytes
        do throws(FieldError) {
            return try self.document.messageAnnotations(
                of: self.document.root, in: bytes,
                replyTo: try self.document.optionalMessageID(
                    "reply_to", of: self.document.root, in: bytes),
                isAdmin: isAdmin)
        } catch {
            throw .badRequest(error.description)
        }
    }

    /// The properties of a conversation to create. The caller adds the access to it.
    func newRecord() throws(HTTPError) -> ConversationRecord {
        guard let title = try self.title() else { throw .badRequest("title: is missing") }
        var record = ConversationRecord(
            .rooms, title: title, dialectData: ByteString(try self.description() ?? ""),
            creator: nil, createdAt: Timestamp(milliseconds: 0))
        record.pinPolicy = try self.pinPolicy()
        return record
    }

    /// The users that may pin messages of a conversation to create.
    private func pinPolicy() throws(HTTPError) -> ConversationRecord.PinPolicy {
        switch try self.text("pin_policy") {
        case nil, "members": .members
        case "creator": .creator
        default: throw .badRequest("pin_policy: must be \"members\" or \"creator\"")
        }
    }

    /// The client's own id of a message; nil if it gives none.
    func localID() throws(HTTPError) -> ClientMessageID? {
        guard let text = try self.text("local_id") else { return nil }
        guard let id = ClientMessageID(given: ByteString(text)) else {
            throw HTTPError(.clientMessageIDInvalid)
        }
        return id
    }

    /// The user of a token that an admin sends for; nil if the field is missing.
    func otherSender() throws(HTTPError) -> Person? {
        let bytes = self.bytes.span.bytes
        guard let sender = self.document.nonNullMember("as", of: self.document.root, in: bytes)
        else { return nil }
        guard self.document.kind(of: sender) == .object else {
            throw .badRequest("as: must be an object")
        }
        guard let user = try self.name("user_id", of: sender, prefix: "as.") else {
            throw .badRequest("as.user_id: is missing")
        }
        guard !user.hasPrefix(IdentityRule.guestPrefix) else {
            throw .badRequest("as.user_id: must be a user with a token, not a guest")
        }
        guard let name = try self.name("username", of: sender, prefix: "as.") else {
            throw .badRequest("as.username: is missing")
        }
        return Person(id: UserID(tokenSubject: ByteString(user)), name: ByteString(name))
    }

    /// The user to add. The id of a guest names no single guest.
    func newMember() throws(HTTPError) -> Person {
        guard let text = try self.text("user_id") else {
            throw .badRequest("user_id: is missing")
        }
        guard !text.utf8.starts(with: IdentityRule.guestPrefix.utf8) else {
            throw .badRequest("user_id: must be no guest; guests come by the link")
        }
        guard IdentityRule.name.allows(text) else {
            throw .badRequest("user_id: must be \(IdentityRule.name.text)")
        }
        let user = UserID(tokenSubject: ByteString(text))
        return Person(id: user, name: try self.username().map { ByteString($0) } ?? user.name)
    }

    /// - Parameter prefix: the object's own name in errors, with a full stop.
    func name(_ field: StaticString, of object: JSONValue, prefix: String = "")
        throws(HTTPError) -> String?
    {
        guard let name = try self.text(field, of: object, prefix: prefix) else { return nil }
        guard IdentityRule.name.allows(name) else {
            throw .badRequest("\(prefix)\(field): must be \(IdentityRule.name.text)")
        }
        return name
    }

    func text(_ field: StaticString) throws(HTTPError) -> String? {
        try self.text(field, of: self.document.root)
    }

    private func text(_ field: StaticString, of object: JSONValue, prefix: String = "")
        throws(HTTPError) -> String?
    {
        do throws(FieldError) {
            return try self.document.optionalString(
                field, of: object, in: self.bytes.span.bytes)
        } catch {
            throw .badRequest("\(prefix)\(error.description)")
        }
    }
}

extension Unicode.Scalar {
    /// The Unicode category Cc.
    fileprivate var isControl: Bool { self.value < 0x20 || (0x7F...0x9F).contains(self.value) }
}

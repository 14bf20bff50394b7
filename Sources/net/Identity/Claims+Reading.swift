internal import Bytes
internal import JSON

extension Claims {
    /// The last second of the year 9999. A larger `exp` is probably in milliseconds, and such a
    /// token would never expire.
    private static let lastSecond = 253_402_300_799

    /// Reads the claims from the payload of a token whose signature is valid. Unknown claims are
    /// ignored (RFC 7519 section 4).
    init(_ document: JSONDocument, in bytes: RawSpan) throws(TokenError) {
        let root = document.root
        guard document.kind(of: root) == .object else { throw .malformed(.payload) }
        let reader = ClaimReader(document: document)
        guard let subject = try reader.string("sub", in: bytes) else {
            throw .badClaim(name: "sub", mustBe: "there: the user's id, \(IdentityRule.name.text)")
        }
        self.subject = subject
        if let username = try reader.string("username", in: bytes) {
            self.username = username
        } else if let name = try reader.string("name", in: bytes) {
            // Checked here, because later code cannot tell whether the name came from `name` or
            // `username`.
            guard IdentityRule.name.allows(name) else {
                throw .badClaim(name: "name", mustBe: IdentityRule.name.text)
            }
            self.username = name
        }
        self.tenant = try reader.string("tenant_id", in: bytes)
        self.agent = try reader.string("agent_id", in: bytes)
        self.grants = try reader.grants("conversations", in: bytes).union(
            try reader.grants("channel_id", in: bytes))
        self.isAdmin = try reader.flag("admin", in: bytes)
        self.expiry = try reader.timestamp("exp", upToSecond: Self.lastSecond, in: bytes)
        self.notBefore = try reader.timestamp("nbf", upToSecond: Self.lastSecond, in: bytes)
        self.audience = try reader.strings("aud", in: bytes)
        self.issuer = try reader.string("iss", in: bytes)
    }
}

extension Claims {
    /// Reads the role and the key from the payload of a guest token.
    mutating func readGuest(_ document: JSONDocument, in bytes: RawSpan) throws(TokenError) {
        let reader = ClaimReader(document: document)
        guard
            let role = try reader.string("guest", in: bytes).flatMap({ GuestRole(rawValue: $0) })
        else {
            throw .badClaim(name: "guest", mustBe: "member or creator")
        }
        guard let key = try reader.string("guest_key", in: bytes) else {
            throw Self.badGuestKey
        }
        (self.guest, self.guestKey) = (role, key)
    }
}

/// Reads single claims. Each function distinguishes a missing claim from an invalid one. A claim
/// that is `null` counts as missing, because many identity providers write `null` for a missing
/// value.
private struct ClaimReader {
    let document: JSONDocument

    private func member(_ name: StaticString, in bytes: RawSpan) -> JSONValue? {
        self.document.nonNullMember(name, of: self.document.root, in: bytes)
    }

    func string(_ name: StaticString, in bytes: RawSpan) throws(TokenError) -> String? {
        guard let value = self.member(name, in: bytes) else { return nil }
        guard let text = self.document.string(value, in: bytes) else {
            throw .badClaim(name: "\(name)", mustBe: "a string")
        }
        return text
    }

    func flag(_ name: StaticString, in bytes: RawSpan) throws(TokenError) -> Bool {
        guard let value = self.member(name, in: bytes) else { return false }
        guard let flag = self.document.bool(value) else {
            throw .badClaim(name: "\(name)", mustBe: "true or false")
        }
        return flag
    }

    /// Reads a NumericDate: seconds since 1970, with or without a fraction (RFC 7519 section 2).
    func timestamp(_ name: StaticString, upToSecond lastSecond: Int, in bytes: RawSpan)
        throws(TokenError) -> Timestamp?
    {
        guard let value = self.member(name, in: bytes) else { return nil }
        let range = 0...lastSecond
        if let seconds = self.document.integer(value, in: bytes), range.contains(seconds) {
            return Timestamp(milliseconds: Int64(seconds) * 1000)
        }
        if let seconds = self.document.double(value, in: bytes), seconds >= 0,
            seconds <= Double(lastSecond)
        {
            return Timestamp(milliseconds: Int64((seconds * 1000).rounded(.down)))
        }
        throw .badClaim(
            name: "\(name)", mustBe: "a number of seconds since 1970, before the year 10000")
    }

    func strings(_ name: StaticString, in bytes: RawSpan) throws(TokenError) -> [String]? {
        guard let value = self.member(name, in: bytes) else { return nil }
        if let text = self.document.string(value, in: bytes) { return [text] }
        guard self.document.kind(of: value) == .array else {
            throw .badClaim(name: "\(name)", mustBe: "a string or a list of strings")
        }
        var texts: [String] = []
        var next = self.document.firstElement(of: value)
        while let element = next {
            guard let text = self.document.string(element, in: bytes) else {
                throw .badClaim(name: "\(name)", mustBe: "a string or a list of strings")
            }
            texts.append(text)
            next = self.document.element(after: element, in: value)
        }
        return texts
    }

    func grants(_ name: StaticString, in bytes: RawSpan) throws(TokenError) -> Grants {
        guard let value = self.member(name, in: bytes) else { return .none }
        guard self.document.kind(of: value) == .array else {
            return try self.grant(value, name, in: bytes)
        }
        var isAll = false
        var listed: Set<ByteString> = []
        var next = self.document.firstElement(of: value)
        while let element = next {
            switch try self.grant(element, name, in: bytes) {
            case .all: isAll = true
            case .listed(let one): listed.formUnion(one)
            }
            next = self.document.element(after: element, in: value)
        }
        return isAll ? .all : .listed(listed)
    }

    private func grant(_ value: JSONValue, _ name: StaticString, in bytes: RawSpan)
        throws(TokenError) -> Grants
    {
        // Conversation ids of Chats are integers, so its token issuers list them as integers.
        let id =
            self.document.string(value, in: bytes)
            ?? self.document.integer(value, in: bytes).map { String($0) }
        guard let id, id == "*" || IdentityRule.conversation.allows(id) else {
            throw .badClaim(
                name: "\(name)",
                mustBe: "\"*\", an id or a list of ids, each of \(IdentityRule.conversation.text)")
        }
        return id == "*" ? .all : .listed([ByteString(id)])
    }
}

internal import Bytes
internal import ChatModel
internal import DialectKit
internal import Gateway
internal import HTTPWire
internal import Identity
internal import JSON

/// The requested part of the members of a conversation.
struct MembersQuery: Equatable {
    static let limits = 1...1000

    var limit = 100
    /// The last user of the previous page; nil for the first page.
    var after: UserID?

    init(_ query: String?) throws(HTTPError) {
        let query = try QueryParameters(query)
        if let text = query["limit"] {
            self.limit = try ListQuery.parseLimit(text, within: Self.limits)
        }
        if let text = query["cursor"] { self.after = try Self.user(text) }
    }

    /// An opaque, URL-safe text.
    static func cursor(after user: UserID) -> String {
        Base64URL.encode(Array(user.storageKey.string.utf8))
    }

    private static func user(_ text: String) throws(HTTPError) -> UserID {
        guard let bytes = Base64URL.decode(text.utf8),
            let key = String(validating: bytes, as: UTF8.self), !key.isEmpty
        else { throw .badRequest("cursor: is none that was given away") }
        return UserID(storageKey: ByteString(key))
    }
}

extension ByteBuffer {
    /// Appends a member of the list of members.
    mutating func append(member: Member, isOnline: Bool) {
        self.append(#"{"user_id":"#)
        self.append(jsonString: member.user.name)
        self.append(#","username":"#)
        self.append(jsonString: member.name)
        self.append(isOnline ? #","online":true"# : #","online":false"#)
        if member.user.isAnonymous {
            self.append(guestFlagOf: member.user)
        } else {
            self.append(#","guest":false"#)
        }
        self.append(member.role == .creator ? #","creator":true}"# : #","creator":false}"#)
    }
}

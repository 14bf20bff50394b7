internal import Bytes
internal import ChatModel
internal import HTTPWire
internal import Identity

/// Encodes a position in the list of conversations as an opaque, URL-safe text.
enum CatalogCursor {
    static func encode(_ cursor: PageCursor) -> String {
        Base64URL.encode(Array(cursor.text.string.utf8))
    }

    static func decode(_ text: String) throws(HTTPError) -> PageCursor {
        guard let bytes = Base64URL.decode(text.utf8),
            let cursor = PageCursor(ByteString(String(decoding: bytes, as: UTF8.self))),
            IdentityRule.conversation.allows(cursor.id.string)
        else { throw .badRequest("cursor: is none that was given away") }
        return cursor
    }
}

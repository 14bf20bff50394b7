internal import Bytes
internal import ChatModel
internal import HTTPWire
internal import Identity

/// A place in the list of conversations as clients carry it: letters that need no escaping in a URL, and no promise of what they say.
enum CatalogCursor {
    static func encode(_ place: PageCursor) -> String {
        Base64URL.encode(Array(place.text.string.utf8))
    }

    static func decode(_ text: String) throws(HTTPError) -> PageCursor {
        guard let bytes = Base64URL.decode(text.utf8),
            let place = PageCursor(ByteString(String(decoding: bytes, as: UTF8.self))),
            IdentityRule.conversation.allows(place.id.string)
        else { throw .badRequest("cursor: is none that was given away") }
        return place
    }
}

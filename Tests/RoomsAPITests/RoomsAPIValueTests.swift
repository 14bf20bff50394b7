import Bytes
import ChatModel
import HTTPWire
import Testing

@testable import RoomsAPI

@Suite("The values of the REST API")
struct RoomsAPIValueTests {
    @Test(
        "parse a path with or without a trailing slash",
        arguments: [
            ("", .list), ("/", .list), ("/create", .create), ("/create/", .create),
            ("/abc12345", .conversation("abc12345")),
            ("/abc12345/", .conversation("abc12345")), ("/a%3Ab", .conversation("a:b")),
            ("/x/join", .join("x")), ("/x/join/", .join("x")),
            ("/x/end", .end("x")), ("/create/join", .join("create")),
            ("/join", .conversation("join")), ("/..", .conversation("..")),
            ("/x/messages", .messages("x")), ("/x/messages/", .messages("x")),
            ("/x/messages/7", .message("x", 7)), ("/x/messages/7/", .message("x", 7)),
            ("/x/messages/%37", .message("x", 7)), ("/x/messages/%31%30/pin", .pin("x", 10)),
            ("/x/messages/%30%37", nil), ("/x/messages/%FF", nil), ("/x/messages/1%00", nil),
            ("/x/messages/07", nil), ("/x/messages/-1", nil), ("/x/messages/y", nil),
            ("/x/messages/7/y", nil), ("/x/members", .members("x")),
            ("/x/members/bob", .member("x", UserID(tokenSubject: "bob"))),
            ("/x/members/guest:bob/", .member("x", UserID(anonymous: "bob"))),
            ("/x/members/guest%3Aa%2Fb%20c", .member("x", UserID(anonymous: "a/b c"))),
            ("/x/members/guest:", nil), ("/x/members/a%01", nil), ("/x/members/%FF", nil),
            ("/x/members/bob/y", nil), ("/x/y", nil), ("/x/join/y", nil), ("//", nil),
            ("//join", nil), ("/x//", nil),
            ("/a b", nil), ("/a%20b", nil), ("/%FF", nil),
            ("/%2", nil), ("/a%2Fjoin", nil), ("/@user:ann", nil),
            ("/" + String(repeating: "x", count: 129), nil),
            (
                "/" + String(repeating: "x", count: 128),
                .conversation(ByteString(String(repeating: "x", count: 128)))
            ), ("s", nil),
        ] as [(String, RoomsRoute?)])
    func routes(path: String, route: RoomsRoute?) {
        do throws(HTTPError) {
            #expect(try RoomsRoute("/api/conversations" + path) == route)
        } catch {
            #expect(route == nil)
            #expect(error.status == .notFound)
        }
    }

    @Test("decode an encoded cursor, and nothing else")
    func cursors() throws {
        let cursor = PageCursor(time: Timestamp(milliseconds: 1_763_000_000_123), id: "a_b:c.d-e")
        let text = CatalogCursor.encode(cursor)
        #expect(try CatalogCursor.decode(text) == cursor)
        #expect(
            text.utf8.allSatisfy {
                Character(Unicode.Scalar($0)).isLetter || Character(Unicode.Scalar($0)).isNumber
                    || "-_".utf8.contains($0)
            })
        let nonsense = [
            "", "0", "=", "null", text + "=", text + "A", String(text.dropLast()), "!",
            Base64URL.encode(Array("1_a b".utf8)),
        ]
        for bad in nonsense where (try? CatalogCursor.decode(bad)) != nil {
            // A shortened cursor may still be valid, but then it encodes another position.
            #expect(try CatalogCursor.encode(CatalogCursor.decode(bad)) == bad)
        }
        for bad in [
            "", "0", "=", "null", text + "=", "!", Base64URL.encode(Array("1_a b".utf8)),
            Base64URL.encode(Array("01_a".utf8)),
        ] {
            #expect(throws: HTTPError.badRequest("cursor: is none that was given away")) {
                try CatalogCursor.decode(bad)
            }
        }
    }

    @Test("match an entity tag in every valid form of If-None-Match")
    func tags() {
        let tag = EntityTag(Array("one".utf8))
        #expect(tag == EntityTag(Array("one".utf8)))
        #expect(tag != EntityTag(Array("two".utf8)))
        for field in [
            tag.text, "W/\(tag.text)", "\"x\", \(tag.text)", " \(tag.text) ,\"y\"", "*",
            "\"x\",W/\(tag.text)",
        ] {
            #expect(tag.matches(field), "\(field)")
        }
        for field in [nil, "", "\"x\"", String(tag.text.dropFirst()), "w/\(tag.text)", "**"] {
            #expect(!tag.matches(field))
        }
    }

    @Test("are random ids of eight characters a-z and 0-9")
    func ids() {
        let ids = (0..<1000).map { _ in RoomID.random().string }
        #expect(ids.allSatisfy { $0.wholeMatch(of: /[a-z0-9]{8}/) != nil })
        #expect(Set(ids).count == 1000)
    }

    @Test(
        "map each chat error to a status",
        arguments: [
            (.noSuchConversation, 404), (.conversationExists, 409), (.notAMember, 403),
            (.accessDenied, 404), (.wasRemoved, 403), (.closedIsUnlisted, 400),
            (.noDescription, 400), (.conversationEnded, 410),
            (.noSuchMessage(1), 404), (.messageDeleted(1), 410), (.notAllowed("admins"), 403),
            (.contentEmpty, 400),
            (.contentTooLong(limit: 1), 413), (.metadataTooLong(limit: 1), 413),
            (.clientMessageIDInvalid, 400), (.tooManyMembers(limit: 1), 409),
            (.idTaken, 409), (.noSuchMember, 404), (.banned("You are banned."), 403),
            (.rateLimited(retryAfterSeconds: 1.2), 429), (.unavailable, 503),
        ] as [(ChatError, Int)])
    func statuses(error: ChatError, status: Int) {
        let refusal = HTTPError(error)
        #expect(refusal.status.rawValue == status)
        let wait = refusal.fields.first { $0.name == "Retry-After" }?.value
        #expect(wait == (status == 429 ? "2" : status == 503 ? "1" : nil))
    }
}

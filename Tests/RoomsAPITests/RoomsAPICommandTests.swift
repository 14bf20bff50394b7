import Bytes
import ChatModel
import ConversationsDialect
import DialectKit
import HTTPWire
import Identity
import RoomsDialect
import Synchronization
import TestKit
import Testing

@testable import RoomsAPI

@Suite("A REST request")
struct RoomsAPICommandTests {
    private static let root = "/api/conversations"

    @Test("tries another id if one is taken, and gives up after several")
    func takenIDs() async throws {
        let node = ScriptedNode(ids: ["taken", "taken", "free"]) { _, _, id in
            id == "free" ? .described(.room()) : .failed(.conversationExists)
        }
        let created = try await node.response(.post, "\(Self.root)/create", #"{"title":"Tea"}"#)
        #expect(created.status == 201)
        #expect(created.body["room_id"] == "free")
        #expect(created.fields["Location"] == "/api/conversations/free")
        #expect(node.requests == ["create taken", "create taken", "create free"])

        let full = ScriptedNode { _, _, _ in .failed(.conversationExists) }
        #expect(
            try await full.response(.post, "\(Self.root)/create", #"{"title":"Tea"}"#).status == 503
        )
        #expect(full.requests.count == 8)
    }

    @Test("reads further pages of the user's conversations at the rate of its replays")
    func furtherPages() async throws {
        let left = Mutex(3)
        let node = ScriptedNode(read: { _ in
            var page = MembershipPage()
            page.next = left.withLock { left in
                left -= 1
                return left > 0 ? "more" : nil
            }
            return .memberships(page)
        })
        let list = try await node.response(.get, Self.root, query: "mine=true", .token("ann"))
        #expect(list.status == 200)
        #expect(node.requests == ["read", "wait", "read", "wait", "read"])
    }

    @Test("reads messages of a conversation of any protocol, oldest first, with its revision")
    func messages() async throws {
        let requested = Mutex<[StoreRequest]>([])
        let body = MessageBody(
            author: Person(id: UserID(tokenSubject: "ann"), name: "Ann"), clientMessageID: nil,
            content: "hi")
        let message = Message(
            sequence: 3, revision: 7, sentAt: Timestamp(milliseconds: 0), body: body)
        let node = ScriptedNode { _, _, id in
            id == "closed"
                ? .failed(.notAMember) : .described(.room("Tea", .conversations, head: 3))
        } read: { request in
            requested.withLock { $0.append(request) }
            return .page(MessagePage(messages: [message], head: 3, oldest: 1, revision: 9))
        }
        func ranges() -> [String] {
            requested.withLock { requests in
                defer { requests = [] }
                return requests.map {
                    if case .page(let key, let range, let limit) = $0 {
                        "\(key.id) \(range) \(limit.messages)"
                    } else {
                        "?"
                    }
                }
            }
        }
        let page = try await node.response(.get, "\(Self.root)/room/messages", "", .token("ann"))
        #expect(
            page.status == 200 && page.body.bool("success") == true && page.body.number("rev") == 9)
        #expect(page.body.objects("messages")?.map { $0["id"] } == ["3"])
        _ = try await node.response(
            .get, "\(Self.root)/room/messages/", query: "before=3&limit=2", .token("ann"))
        _ = try await node.response(
            .get, "\(Self.root)/room/messages", query: "after=1&limit=100", .token("ann"))
        #expect(ranges() == ["room newest 50", "room before(3) 2", "room after(1) 100"])
        for (query, errorText) in [
            ("limit=0", "limit: must be a whole number from 1 to 100"),
            ("limit=101", "limit: must be a whole number from 1 to 100"),
            ("before=x", "before: must be a message id"),
            ("after=-1", "after: must be a message id"),
            ("after=1&before=3", "after: cannot be combined with before"),
        ] {
            let refused = try await node.response(
                .get, "\(Self.root)/room/messages", query: query, .token("ann"))
            #expect(refused.status == 400 && refused.error == errorText)
        }
        #expect(
            try await node.response(.get, "\(Self.root)/closed/messages", "", .token("ann")).status
                == 403)
        #expect(ranges().isEmpty)
    }

    @Test("returns links with the public address that the gateway reports")
    func links() async throws {
        let node = ScriptedNode { _, _, _ in .described(.room()) }
        for base in ["http://chat.test:8080", "https://chat.test/chat"] {
            let created = try await node.response(
                .post, "\(Self.root)/create", #"{"title":"Tea"}"#, base: base)
            #expect(created.body["link"] == "\(base)/conversation/abc12345")
        }
    }

    @Test("creates a conversation for the token's user, the body's user, or a guest")
    func creators() async throws {
        let seen = Mutex<[NewConversation]>([])
        let node = ScriptedNode { _, command, _ in
            if case .create(let conversation) = command {
                seen.withLock { $0.append(conversation) }
            }
            return .described(.room())
        }
        _ = try await node.response(
            .post, "\(Self.root)/create", #"{"title":"Tea","description":"d","user_id":"ann"}"#)
        _ = try await node.response(.post, "\(Self.root)/create", #"{"title":"Tea"}"#)
        let ann = Credentials.bearer(
            Identity(user: "ann", displayName: "Ann", agent: "bot", isAdmin: true))
        _ = try await node.response(
            .post, "\(Self.root)/create", #"{"title":"Tea","user_id":"ann"}"#, ann)
        let created = seen.withLock { $0 }
        #expect(created[0].creator.person.name == "ann")
        #expect(created[0].creator.person.id.looksLike(UserID(anonymous: "ann")))
        #expect(!created[0].creator.person.id.isClaimed, "it has a key")
        #expect(created[0].members == [created[0].creator.person])
        #expect(
            created[0].record.title == "Tea" && created[0].record.dialectData == "d"
                && created[0].record.origin == "rooms" && created[0].record.joinPolicy == .open
                && created[0].record.isListed
                && !created[0].creator.isAdmin)
        #expect(created[1].creator.person.id.isAnonymous)
        #expect(created[1].creator.person.id.name.string.wholeMatch(of: /guest-[a-z0-9]{8}/) != nil)
        #expect(
            created[2].creator.person
                == Person(id: UserID(tokenSubject: "ann"), name: "Ann", agent: "bot"))
        #expect(created[2].creator.isAdmin)
    }

    @Test(
        "joins only existing conversations; a token that lists one creates it, a wildcard does not"
    )
    func joining() async throws {
        let isMade = Mutex(false)
        let node = ScriptedNode { name, _, id in
            switch (name, id) {
            case ("describe", "ended"): .described(.room(isEnded: true))
            case ("describe", "ending"), ("describe", "tea"): .described(.room())
            case ("describe", _):
                isMade.withLock { $0 } ? .described(.room()) : .failed(.noSuchConversation)
            case ("join", "ending"):
                .joined(
                    JoinResult(
                        head: 0, oldest: 1, revision: 1,
                        ended: ConversationEnd(
                            by: UserID(tokenSubject: "x"), at: Timestamp(milliseconds: 1)),
                        present: [],
                        presentCount: 0, isCrowd: false))
            case ("join", _):
                isMade.withLock { created in
                    created = true
                    return .joined(
                        JoinResult(
                            head: 0, oldest: 1, revision: 1, ended: nil, present: [],
                            presentCount: 0, isCrowd: false))
                }
            default: nil
            }
        }
        let body = #"{"username":"Ann"}"#
        #expect(
            try await node.response(.post, "\(Self.root)/ended/join", body, .token("ann")).status
                == 410)
        #expect(
            try await node.response(.post, "\(Self.root)/ending/join", body, .token("ann")).status
                == 410)
        #expect(
            try await node.response(.post, "\(Self.root)/none/join", body, .token("ann")).status
                == 404)
        #expect(
            node.requests == [
                "describe ended", "describe ending", "join ending", "describe none",
            ])
        let named = try await node.response(
            .post, "\(Self.root)/none/join", body, .token("ann", grants: .listed(["none"])))
        #expect(named.status == 200)
        // `*` lists every id.
        #expect(
            try await node.response(
                .post, "\(Self.root)/none/join", body, .token("ann", grants: .all)
            ).status == 200)
        #expect(named.body.object("participant")?["user_id"] == "ann")
        // The user was removed before the answer, so the join fails.
        #expect(
            try await node.response(.post, "\(Self.root)/tea/join", body, .token("bob")).status
                == 403)
    }

    @Test("reads messages up to the message count, and answers 304 if nothing has changed")
    func showing() async throws {
        let isMore = Mutex(false)
        let node = ScriptedNode { _, _, _ in
            .described(.room(head: isMore.withLock { $0 } ? 4 : 3))
        } read: { request in
            guard case .page(_, .before(let end), let limit) = request, limit.messages == 50 else {
                return nil
            }
            let body = MessageBody(
                author: Person(id: UserID(tokenSubject: "ann"), name: "Ann"), clientMessageID: nil,
                content: "hi")
            let message = Message(
                sequence: end - 1, revision: end, sentAt: Timestamp(milliseconds: 1), body: body)
            return .page(
                MessagePage(messages: [message], head: end + 5, oldest: 1, revision: end + 5))
        }
        let first = try await node.response(.get, "\(Self.root)/x")
        #expect(first.body.objects("messages")?.map { $0["id"] } == ["3"])
        #expect(first.body.object("conversation")?.number("message_count") == 3)
        #expect(first.fields["Cache-Control"] == "private, no-cache")
        let tag = try #require(first.fields["ETag"])
        let again = try await node.response(.get, "\(Self.root)/x", ifNoneMatch: "W/\(tag)")
        #expect(again.status == 304 && again.body.text == "{}" && again.fields["ETag"] == tag)
        isMore.withLock { $0 = true }
        let later = try await node.response(.get, "\(Self.root)/x", ifNoneMatch: tag)
        #expect(later.status == 200 && later.fields["ETag"] != tag)
    }

    @Test("lists no ended or deleted conversations, and fills the page with the next ones")
    func listing() async throws {
        // Ten conversations in the catalog; the even ones have ended.
        let node = ScriptedNode { _, _, id in
            let number = Int64(id.string.dropFirst())!
            if number == 4 { return .failed(.noSuchConversation) }
            return .described(.room("\(number)", at: number, isEnded: number % 2 == 0))
        } read: { request in
            guard case .catalog(_, let after, let limit) = request else { return nil }
            let all = (1...10).reversed().map {
                PageCursor(time: Timestamp(milliseconds: Int64($0)), id: ByteString("r\($0)"))
            }
            let rest = all.filter { cursor in after.map { cursor < $0 } ?? true }
            var page = CatalogPage()
            page.entries = rest.prefix(limit).map {
                CatalogEntry(
                    key: ConversationKey(tenant: "default", id: $0.id),
                    record: ConversationRecord(
                        .rooms, creator: nil, createdAt: $0.time), head: 0)
            }
            page.next = rest.count > limit ? rest[limit - 1] : nil
            return .catalog(page)
        }
        let first = try await node.response(.get, Self.root, query: "limit=3")
        #expect(first.body.objects("conversations")?.map { $0["room_id"] } == ["r9", "r7", "r5"])
        let cursor = try #require(first.body["next_cursor"])
        let second = try await node.response(.get, Self.root, query: "limit=3&cursor=\(cursor)")
        #expect(second.body.objects("conversations")?.map { $0["room_id"] } == ["r3", "r1"])
        #expect(second.body.text.hasSuffix(#""next_cursor":null}"#))
        let tag = try #require(first.fields["ETag"])
        let same = try await node.response(.get, Self.root, query: "limit=3", ifNoneMatch: tag)
        #expect(same.status == 304 && same.body.text == "{}" && same.fields["ETag"] == tag)
        #expect(first.fields["Cache-Control"] == "private, no-cache")
        let other = try await node.response(.get, Self.root, query: "limit=2", ifNoneMatch: tag)
        #expect(other.status == 200 && other.fields["ETag"] != tag)
        let all = try await node.response(.get, Self.root, query: "limit=5")
        #expect(all.body.objects("conversations")?.count == 5)
        #expect(all.body.text.hasSuffix(#""next_cursor":null}"#))
    }

    @Test("lists all conversations of a user, page by page, with the newest activity first")
    func manyMemberships() async throws {
        let ann = UserID(tokenSubject: "ann")
        let node = ScriptedNode { _, _, _ in
            .described(.room())
        } read: { request in
            guard case .memberships(_, _, let after, _, _) = request else { return nil }
            // The order of the store's pages has no meaning: these begin with the oldest.
            let start = after.map { Int($0.string)! } ?? 0
            var page = MembershipPage()
            page.memberships = (start..<start + 500).map { number in
                let time = Timestamp(milliseconds: Int64(number))
                return ListedMembership(
                    key: ConversationKey(tenant: "default", id: ByteString("r\(number)")),
                    record: ConversationRecord(.rooms, creator: ann, createdAt: time), head: 0,
                    member: Member(user: ann, name: "Ann", role: .member, joinedAt: time),
                    lastMessage: nil, unreadCount: number)
            }
            page.next = start < 1000 ? ByteString("\(start + 500)") : nil
            return .memberships(page)
        }
        var found: [String] = []
        var cursor: String?
        repeat {
            let query = "mine=true&limit=100" + (cursor.map { "&cursor=\($0)" } ?? "")
            let page = try await node.response(.get, Self.root, query: query, .token("ann")).body
            let items = try #require(page.objects("conversations"))
            found += items.compactMap { item in
                item.number("unread_count").map { "\(item["room_id"] ?? "") \(Int($0))" }
            }
            cursor = page["next_cursor"]
        } while cursor != nil && found.count < 2000
        #expect(found == (0..<1500).reversed().map { "r\($0) \($0)" })
    }

    @Test("answers 503 if one conversation of a list is unavailable, instead of omitting it")
    func unreachableConversation() async throws {
        let node = ScriptedNode { _, _, id in
            id == "a" ? .described(.room()) : .failed(.unavailable)
        } read: { _ in
            var page = CatalogPage()
            page.entries = ["a", "b"].map {
                CatalogEntry(
                    key: ConversationKey(tenant: "default", id: $0),
                    record: ConversationRecord(
                        .rooms, creator: nil,
                        createdAt: Timestamp(milliseconds: 1)), head: 0)
            }
            return .catalog(page)
        }
        #expect(try await node.response(.get, Self.root).status == 503)
    }
}

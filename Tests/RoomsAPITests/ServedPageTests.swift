import ChatModel
import Gateway
import GatewayTestSupport
import Identity
import TestKit
import TestTraits
import Testing

@Suite("A page of messages", .ownThread)
struct ServedPageTests {
    private static let pageBytes = 1024
    private static let ids = (1...7).map { "\($0)" }

    /// A conversation with six messages of 300 bytes and one that is longer than a page.
    private func conversation(in node: ServedNode) throws -> (id: String, bob: ConversationClient) {
        let id = try node.create()
        let bob = try node.client("bob", in: id)
        for number in 1...6 {
            try bob.post("word\(number) " + String(repeating: "x", count: 300))
        }
        try bob.post("word7 " + String(repeating: "y", count: 2000))
        return (id, bob)
    }

    private func node(_ store: TestNode.EmbeddedStoreKind, pageBytes: Int = Self.pageBytes) throws
        -> ServedNode
    {
        try ServedNode(store: store) { $0.live.limits.pageBytes = pageBytes }
    }

    /// The ids of the messages in all pages, one page after the other.
    ///
    /// - Parameters:
    ///    - first: the path of the first page.
    ///    - field: the field of a page that continues it.
    ///    - next: the path of the page with this value of the field.
    private func pages(
        of node: ServedNode, from first: String, _ field: String, next: (String) -> String
    ) throws -> [[String]] {
        var pages: [[String]] = []
        var path = first
        while true {
            let reply = try node.get(path, by: "bob")
            let page = try JSONObject(reply.body)
            let ids = try #require(page.objects("messages")).compactMap { $0["id"] }
            #expect(ids.count == 1 || reply.body.utf8.count < 3 * Self.pageBytes, "\(path)")
            pages.append(ids)
            guard let value = page[field] else { return pages }
            path = next(value)
        }
    }

    @Test(
        "of the history ends at its bytes, and names the page that continues",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func history(_ store: TestNode.EmbeddedStoreKind) throws {
        let node = try self.node(store)
        let (id, _) = try self.conversation(in: node)
        func pages(_ first: String, _ parameter: String) throws -> [[String]] {
            try self.pages(of: node, from: first, "next_\(parameter)_id") {
                "/\(id)/messages?limit=100&\(parameter)=\($0)"
            }
        }
        // The longest message has a page of its own.
        for first in ["/\(id)", "/\(id)/messages?limit=100"] {
            let backward = try pages(first, "before")
            #expect(backward.reversed().flatMap { $0 } == Self.ids)
            #expect(backward.count > 2 && backward[0] == ["7"], "\(backward)")
        }
        let forward = try pages("/\(id)/messages?limit=100&after=0", "after")
        #expect(forward.flatMap { $0 } == Self.ids)
        #expect(forward.count > 2 && forward.last == ["7"], "\(forward)")
    }

    @Test("of pins ends at its bytes", arguments: TestNode.EmbeddedStoreKind.allCases)
    func pins(_ store: TestNode.EmbeddedStoreKind) throws {
        let node = try self.node(store)
        let (id, bob) = try self.conversation(in: node)
        for message in Self.ids {
            try bob.send(#"{"action":"pin","message_id":"\#(message)"}"#)
            _ = try bob.next("pinned")
        }
        let pages = try self.pages(of: node, from: "/\(id)/pins", "next_cursor") {
            "/\(id)/pins?cursor=\($0)"
        }
        #expect(pages.flatMap { $0 } == Self.ids.reversed())
        #expect(pages.count > 2 && pages[0] == ["7"], "\(pages)")
    }

    @Test("of search results ends at its bytes", arguments: TestNode.EmbeddedStoreKind.allCases)
    func search(_ store: TestNode.EmbeddedStoreKind) throws {
        let node = try self.node(store)
        let (id, _) = try self.conversation(in: node)
        let first = "/\(id)/messages?search=word&limit=100"
        let pages = try self.pages(of: node, from: first, "next_before_id") {
            "\(first)&before=\($0)"
        }
        #expect(pages.flatMap { $0 } == Self.ids.reversed())
        #expect(pages.count > 2 && pages[0] == ["7"], "\(pages)")
    }

    @Test(
        "in the state of a room ends at its bytes",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func roomState(_ store: TestNode.EmbeddedStoreKind) throws {
        let node = try self.node(store, pageBytes: 3072)
        let (id, bob) = try self.conversation(in: node)
        for _ in 0..<2 { try bob.post(String(repeating: "z", count: 100)) }
        let socket = try RawWebSocketClient(
            "/socket.io/?EIO=4&transport=websocket", port: node.port)
        try socket.send("40")
        try socket.send(
            #"42["join_room",{"room_id":"\#(id)","user_id":"eve","username":"Eve"}]"#)
        let start = #"42["conversation_state","#
        while true {
            guard case .text(let text) = try socket.next() else {
                throw TestFailure("the connection ended")
            }
            guard text.hasPrefix(start) else { continue }
            let state = try JSONObject(String(text.dropFirst(start.count).dropLast()))
            #expect(state.objects("messages")?.compactMap { $0["id"] } == ["8", "9"])
            #expect(state["next_before_id"] == "8")
            return
        }
    }

    @Test(
        "has left the history, but for a pinned message, which can be edited and deleted",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func pinnedMessage(_ store: TestNode.EmbeddedStoreKind) throws {
        let node = try ServedNode(store: store, history: 5)
        let id = try node.create()
        let bob = try node.client("bob", in: id)
        try bob.post("a password")
        try bob.send(#"{"action":"pin","message_id":"1"}"#)
        _ = try bob.next("pinned")
        for number in 2...20 { try bob.post("\(number)") }
        let token = try TestNode.token("bob", grants: .none)
        func change(_ method: String, _ message: Int, _ body: String? = nil) throws -> HTTPReply {
            try node.request(method, "/\(id)/messages/\(message)", body, token: token)
        }
        #expect(try change("PATCH", 1, #"{"content":"ask Bob"}"#).status == 200)
        #expect(try change("PATCH", 2, #"{"content":"two"}"#).status == 404)
        #expect(try node.get("/\(id)/pins", by: "bob").body.contains("ask Bob"))
        #expect(try change("DELETE", 1).status == 200)
        #expect(try change("DELETE", 2).status == 404)
        #expect(try !node.get("/\(id)/pins", by: "bob").body.contains("ask Bob"))
    }
}

import ChatModel
import Configuration
import Gateway
import GatewayTestSupport
import Identity
import TestKit
import TestTraits
import Testing

@Suite("The served REST API, while a user searches,", .ownThread)
struct SearchShareRoomsAPITests {
    /// Sends a request and does not wait for the response.
    private static func send(_ path: String, by user: String, to node: ServedNode) throws
        -> ByteStream
    {
        let stream = try ByteStream(port: node.port)
        let token = try TestNode.token(user, grants: .none)
        try stream.send(
            "GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(node.port)\r\n"
                + "Authorization: Bearer \(token)\r\n\r\n")
        return stream
    }

    private static func awaitSearch(in node: ServedNode) throws {
        try Deadline.wait(for: "the search", untilTrue: { node.store.blockedCount == 1 })
    }

    @Test(
        "answers the user's other searches with 429 at once, and everything else as usual",
        arguments: [false, true])
    func others(ofAll: Bool) throws {
        let node = try ServedNode(loops: 1) { $0.live.limits.messageBurst = 1000 }
        let id = try node.create()
        for user in ["bea", "bob"] {
            #expect(try node.post("/\(id)/join", "{}", by: user).status == 200)
        }
        node.store.close(.search)
        let search =
            ofAll ? "/api/search?text=dog" : "\(ServedNode.root)/\(id)/messages?search=dog"
        let first = try Self.send(search, by: "bea", to: node)
        try Self.awaitSearch(in: node)
        let others = try (0..<220).map { _ in try Self.send(search, by: "bea", to: node) }
        for stream in others {
            let reply = try HTTPReply(from: stream)
            #expect(reply.status == 429 && reply.fields["retry-after"] == "1")
            #expect(
                try JSONObject(reply.body)["error"]
                    == "rate limited: a user can have 1 search under way; "
                    + "wait for its answer, then try again")
        }
        #expect(try node.get("/\(id)/messages", by: "bea").status == 200)
        #expect(try node.get("/\(id)", by: "bob").status == 200)
        node.store.stopBlocking()
        #expect(try node.get("/\(id)/messages?search=dog", by: "bob").status == 200)
        node.store.open()
        #expect(try HTTPReply(from: first).status == 200)
        // A search of all conversations answers after a second without waiting for the store.
        try Deadline.wait(
            for: "the end of the first search",
            untilTrue: { try node.get("/\(id)/messages?search=dog", by: "bea").status == 200 })
        for _ in 0..<20 {
            #expect(try node.get("/\(id)/messages?search=dog", by: "bea").status == 200)
            #expect(try node.get("/unknown/messages?search=dog", by: "bea").status == 404)
        }
    }

    @Test("gives up the search when its client is gone")
    func cancelled() throws {
        let node = try ServedNode(loops: 1)
        let id = try node.create()
        #expect(try node.post("/\(id)/join", "{}", by: "bea").status == 200)
        node.store.close(.search)
        let path = "\(ServedNode.root)/\(id)/messages?search=dog"
        let stream = try Self.send(path, by: "bea", to: node)
        try Self.awaitSearch(in: node)
        let permit = try #require(node.store.blockedSearches.first)
        stream.close()
        try Deadline.wait(for: "the end of the search", untilTrue: { permit.isCancelled })
        #expect(try node.get("/\(id)/messages?search=dog", by: "bea").status == 429)
    }
}

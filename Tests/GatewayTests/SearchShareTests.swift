import ChatModel
import ConversationsDialect
import GatewayTestSupport
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// What a user's searches cost the others.
@Suite("A node with a search under way", .ownThread)
struct SearchShareTests {
    private static let search = #"{"action":"search","text":"dog"}"#
    private static let refusal =
        "rate limited: a user can have 1 search under way; wait for its answer, then try again"

    private static func client(_ user: String, in node: TestNode, _ conversation: String = "rex")
        throws -> FrameClient
    {
        try FrameClient(TestNode.path(user, in: conversation), port: node.port)
    }

    /// Starts a search, which the store does not answer.
    private static func beginSearch(_ client: FrameClient, in node: TestNode) throws {
        node.store.close(.search)
        try client.send(Self.search)
        try Deadline.wait(for: "the search", untilTrue: { node.store.blockedCount == 1 })
    }

    @Test("refuses another one of the same user, on any connection, and not those of others")
    func onePerUser() throws {
        let node = try TestNode(loops: 2)
        let first = try Self.client("ann", in: node)
        let second = try Self.client("ann", in: node, "tea")
        let bob = try Self.client("bob", in: node)
        try Self.beginSearch(first, in: node)
        let error = try second.request(Self.search, for: "error")
        #expect(error["error"] == Self.refusal && error["action"] == "search")
        node.store.stopBlocking()
        try bob.request(Self.search, for: "search_results")
        // History does not wait.
        try second.request(#"{"action":"fetch_messages"}"#, for: "messages_fetched")
        node.store.open()
        try first.next("search_results")
        for client in [first, second, first] {
            try client.request(Self.search, for: "search_results")
        }
        #expect(node.gateway.shared.searches.count == 0)
    }

    @Test("cancels it when its client is gone, and the user can search again afterwards")
    func cancelled() throws {
        let node = try TestNode(loops: 1)
        let first = try Self.client("ann", in: node)
        try Self.beginSearch(first, in: node)
        let permit = try #require(node.store.blockedSearches.first)
        #expect(!permit.isCancelled)
        first.socket.dropConnection()
        try Deadline.wait(for: "the end of the search", untilTrue: { permit.isCancelled })
        let second = try Self.client("ann", in: node)
        #expect(try second.request(Self.search, for: "error")["error"] == Self.refusal)
        node.store.open()
        try Deadline.wait(
            for: "the store's answer", untilTrue: { node.gateway.shared.searches.count == 0 })
        try second.request(Self.search, for: "search_results")
    }
}

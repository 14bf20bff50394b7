import AllocationCounter
import ConversationsDialect
import DialectKit
import EventLoop
import GatewayTestSupport
import Identity
import RoomsDialect
import Synchronization
import TestKit
import TestTraits
import Testing

@testable import Gateway

@Suite(
    "A broadcast", .serialized,
    .enabled(if: allocation_counter_works(), "A sanitizer has its own allocator"), .ownThread)
struct BroadcastAllocationTests {
    /// How a client of one protocol subscribes without sending anything else.
    struct SubscriberSetup: CustomTestStringConvertible {
        let testDescription: String
        let path: String
        /// Each text is sent after a frame with this prefix.
        var handshake: [(behind: String, text: String)] = []
        /// The prefix of the frame that confirms the subscription; nil if the upgrade does.
        var readyPrefix: String?

        private static let token = (try? TestNode.token("listener")) ?? ""
        static let all = [
            SubscriberSetup(
                testDescription: "Conversations", path: "/conversations/room/?token=\(token)"),
            SubscriberSetup(
                testDescription: "Pets", path: "/ws/?token=\(token)",
                handshake: [("{", #"{"event":"history","data":{"conversation_id":"room"}}"#)],
                readyPrefix: #"{"event":"history""#),
            SubscriberSetup(
                testDescription: "Chats", path: "/ws/chats/?token=\(token)",
                handshake: [("", #"{"type":"joinChat","data":{"chat":"room"}}"#)],
                readyPrefix: #"{"type":"chatJoined""#),
            SubscriberSetup(
                testDescription: "Rooms",
                path: "/socket.io/?EIO=4&transport=websocket&token=\(token)",
                handshake: [("0{", "40"), ("40{", #"42["join_room",{"room_id":"room"}]"#)],
                readyPrefix: #"42["conversation_state""#),
            SubscriberSetup(
                testDescription: "Agents", path: "/v1/ws?channel_id=room&token=\(token)"),
        ]

        func connect(to port: UInt16) throws -> RawWebSocketClient {
            let client = try RawWebSocketClient(self.path, port: port)
            for (behind, text) in self.handshake {
                try Self.wait(for: behind, client)
                try client.send(text)
            }
            if let readyPrefix { try Self.wait(for: readyPrefix, client) }
            return client
        }

        private static func wait(for start: String, _ client: RawWebSocketClient) throws {
            while !start.isEmpty {
                guard case .text(let text) = try client.next() else {
                    throw TestFailure("the connection ended before \(start) came")
                }
                if text.hasPrefix(start) { return }
            }
        }
    }

    /// The loop's allocations for one message to all subscribers, and for one typing event.
    private static func allocations(_ setup: SubscriberSetup, subscribers: Int) throws -> (
        message: Double, typing: Double
    ) {
        let node = try TestNode(dialects: TestNode.allDialects) { $0.live.limits.allowEverything() }
        // Connections of one user, so that their presence is not announced.
        let clients = try (0..<subscribers).map { _ in try setup.connect(to: node.port) }
        let author = try node.conversationClient("author")
        try node.waitForConnections(subscribers + 1)
        let rounds = 100
        // The first messages allocate buffers that are reused.
        for _ in 0..<20 { try author.post("warm") }
        let before = try self.count(on: node)
        for _ in 0..<rounds { try author.post("a message") }
        let between = try self.count(on: node)
        for number in 0..<rounds {
            try author.send(#"{"action":"typing","is_typing":\#(number % 2 == 0)}"#)
            try author.synchronize()
        }
        let after = try self.count(on: node)
        withExtendedLifetime(clients) {}
        return (Double(between - before) / Double(rounds), Double(after - between) / Double(rounds))
    }

    /// The number of allocations on the node's loop.
    private static func count(on node: TestNode) throws -> UInt {
        let box = CountBox()
        node.gateway.firstLoop.execute { box.value.withLock { $0 = allocation_counter_count() } }
        return try Deadline.wait(for: "the loop's count") { box.value.withLock { $0 } }
    }

    private final class CountBox: Sendable {
        let value = Mutex<UInt?>(nil)
    }

    @Test(
        "does not allocate more for a thousand subscribers than for one, in every protocol",
        arguments: SubscriberSetup.all)
    func perListener(_ setup: SubscriberSetup) throws {
        let one = try Self.allocations(setup, subscribers: 1)
        let many = try Self.allocations(setup, subscribers: 1000)
        // Periodic work of the loop is included. A slow machine does more of it during the test.
        #expect(
            many.message < one.message + 500, "an allocation for each listener makes a thousand")
        #expect(many.typing < one.typing + 500)
        #expect(one.message > 0, "nothing was counted")
    }
}

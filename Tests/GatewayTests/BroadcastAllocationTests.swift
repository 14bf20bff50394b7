import AgentsDialect
import AllocationCounter
import ChatsDialect
import ConversationsDialect
import DialectKit
import EventLoop
import GatewayTestSupport
import Identity
import PetsDialect
import RoomsDialect
import Synchronization
import TestKit
import Testing

@testable import Gateway

@Suite("The way of a message", .serialized, .enabled(if: allocation_counter_works()))
struct BroadcastAllocationTests {
    /// How somebody comes in who only listens.
    struct SubscriberSetup: CustomTestStringConvertible {
        let testDescription: String
        let path: String
        /// What is sent, each when a frame has come that begins so.
        var handshake: [(behind: String, text: String)] = []
        /// How the frame begins that says that it is in; nil where the WebSocket does.
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

    /// What the loop allocates for one message to so many listeners, and for one word that somebody types.
    private static func allocations(_ listening: SubscriberSetup, listeners: Int) throws -> (
        message: Double, typing: Double
    ) {
        let dialects: [any Dialect] = [
            ConversationsDialect(), PetsDialect(), ChatsDialect(),
            RoomsDialect(key: RecoveryKey(derivedFrom: TestNode.secret, cluster: "test")),
            AgentsDialect(),
        ]
        let node = try TestNode(dialects: dialects) { $0.live.limits.allowEverything() }
        // Connections of one user, so that nobody's coming is told to the others.
        let others = try (0..<listeners).map { _ in try listening.connect(to: node.port) }
        let author = try node.conversationClient("author")
        try node.waitForConnections(listeners + 1)
        let rounds = 100
        // The first ones make room that is used again.
        for _ in 0..<20 { try author.post("warm") }
        let before = try self.count(on: node)
        for _ in 0..<rounds { try author.post("a message") }
        let between = try self.count(on: node)
        for number in 0..<rounds {
            try author.send(#"{"action":"typing","is_typing":\#(number % 2 == 0)}"#)
            try author.synchronize()
        }
        let after = try self.count(on: node)
        withExtendedLifetime(others) {}
        return (Double(between - before) / Double(rounds), Double(after - between) / Double(rounds))
    }

    /// How often the node's loop has asked for memory since it began.
    private static func count(on node: TestNode) throws -> UInt {
        let answer = CountBox()
        node.gateway.firstLoop.execute { answer.value.withLock { $0 = allocation_counter_count() } }
        return try Deadline.wait(for: "the loop's count") { answer.value.withLock { $0 } }
    }

    private final class CountBox: Sendable {
        let value = Mutex<UInt?>(nil)
    }

    @Test(
        "allocates as little for a thousand listeners as for one, in every protocol",
        arguments: SubscriberSetup.all)
    func perListener(_ listening: SubscriberSetup) throws {
        let one = try Self.allocations(listening, listeners: 1)
        let many = try Self.allocations(listening, listeners: 1000)
        // What the loop does by the clock is counted along: the more of it, the longer a busy machine takes.
        #expect(
            many.message < one.message + 500, "an allocation for each listener makes a thousand")
        #expect(many.typing < one.typing + 500)
        #expect(one.message > 0, "nothing was counted")
    }
}

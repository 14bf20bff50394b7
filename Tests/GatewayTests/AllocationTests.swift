import AllocationCounter
import EventLoop
import GatewayTestSupport
import Synchronization
import TestKit
import Testing

@testable import Gateway

@Suite("The way of a message", .serialized, .enabled(if: allocation_counter_works()))
struct AllocationTests {
    /// What the loop allocates for one message to so many listeners, and for one word that somebody types.
    private static func allocations(listeners: Int) throws -> (message: Double, typing: Double) {
        let node = try TestNode { $0.live.limits.allowEverything() }
        // Connections of one user, so that nobody's coming is told to the others.
        let others = try (0..<listeners).map { _ in try WebSocketClient(TestNode.path("listener", in: "room"), port: node.port) }
        let author = try node.talker("author")
        try node.waitForConnections(listeners + 1)
        let rounds = 100
        // The first ones make room that is used again.
        for _ in 0..<20 { try author.post("warm") }
        let before = try self.count(on: node)
        for _ in 0..<rounds { try author.post("a message") }
        let between = try self.count(on: node)
        for number in 0..<rounds {
            try author.send(#"{"action":"typing","is_typing":\#(number % 2 == 0)}"#)
            try author.settle()
        }
        let after = try self.count(on: node)
        withExtendedLifetime(others) {}
        return (Double(between - before) / Double(rounds), Double(after - between) / Double(rounds))
    }

    /// How often the node's loop has asked for memory since it began.
    private static func count(on node: TestNode) throws -> UInt {
        let answer = Answer()
        node.gateway.firstLoop.execute { answer.value.withLock { $0 = allocation_counter_count() } }
        return try Deadline.wait(for: "the loop's count") { answer.value.withLock { $0 } }
    }

    private final class Answer: Sendable {
        let value = Mutex<UInt?>(nil)
    }

    @Test("allocates as little for a thousand listeners as for one")
    func perListener() throws {
        let one = try Self.allocations(listeners: 1)
        let many = try Self.allocations(listeners: 1000)
        // What the loop does by the clock is counted along: the more of it, the longer a busy machine takes.
        #expect(many.message < one.message + 500, "an allocation for each listener makes a thousand")
        #expect(many.typing < one.typing + 500)
        #expect(one.message > 0, "nothing was counted")
    }
}

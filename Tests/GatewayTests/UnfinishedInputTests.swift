import Bytes
import ChatModel
import Configuration
import GatewayTestSupport
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// Clients that begin messages and do not complete them.
@Suite("Unfinished messages", .ownThread)
struct UnfinishedInputTests {
    /// The bytes of a frame that a client has sent, and those of them that count.
    private static let (begun, counted) = (100_000, 100_000 - UnfinishedInput.freeBytes)
    private static let frame = RawWebSocketClient.frame(
        opcode: 1, Array(repeating: UInt8(ascii: "x"), count: 150_000))

    private func begin(as user: String, at node: TestNode) throws -> FrameClient {
        let client = try FrameClient(TestNode.path(user, in: "room"), port: node.port)
        try client.socket.stream.send(Array(Self.frame.prefix(Self.begun)))
        return client
    }

    private func wait(for count: Int, of user: String, at node: TestNode) throws {
        try Deadline.wait(
            for: "\(count) bytes of \(user)",
            untilTrue: { node.rate(of: user).unfinishedBytes == count })
    }

    @Test("are bounded for a user over all its connections, and one may have any size")
    func perUser() throws {
        let node = try TestNode(loops: 2, dialects: TestNode.allDialects) {
            $0.live.limits.unfinishedBytes = 150_000
        }
        var clients: [FrameClient] = []
        for number in 1...2 {
            clients.append(try self.begin(as: "ann", at: node))
            try self.wait(for: number * Self.counted, of: "ann", at: node)
        }
        let refused = try self.begin(as: "ann", at: node)
        guard case .close(1013, let reason) = try refused.closeEvent() else {
            throw TestFailure("the connection is not closed with 1013")
        }
        #expect(reason.contains("unfinished-bytes"))
        let other = try self.begin(as: "bob", at: node)
        try self.wait(for: Self.counted, of: "bob", at: node)
        // A frame that is completed counts no more, and is answered.
        try other.socket.stream.send(Array(Self.frame.dropFirst(Self.begun)))
        try other.next("error")
        try self.wait(for: 0, of: "bob", at: node)
        for client in clients { client.socket.dropConnection() }
        try self.wait(for: 0, of: "ann", at: node)
        #expect(node.gateway.shared.rates.unfinishedBytes == 0)
    }

    @Test("end after a time, which pings between their fragments do not prolong")
    func fragments() throws {
        let clock = StoppedClock(monotonic: 10_000)
        let node = try TestNode(dialects: TestNode.allDialects) {
            $0.settings.readClocks = { clock.reading }
            $0.live.limits.body = .seconds(2)
        }
        let (slow, steady) = (
            try FrameClient(TestNode.path("ann", in: "room"), port: node.port),
            try FrameClient(TestNode.path("bob", in: "room"), port: node.port)
        )
        for client in [slow, steady] {
            try client.socket.send(opcode: 1, Array("{".utf8), isFinal: false)
        }
        func synchronize(_ client: FrameClient) throws {
            try client.socket.send(opcode: 9, [1])
            while try client.socket.next() != .pong([1]) {}
        }
        for client in [slow, steady] { try synchronize(client) }
        clock.advance(milliseconds: 1500)
        // Another message begins, with a time of its own.
        try steady.socket.stream.send(
            RawWebSocketClient.frame(opcode: 0, Array("}".utf8))
                + RawWebSocketClient.frame(opcode: 1, Array("{".utf8), isFinal: false))
        for client in [slow, steady] { try synchronize(client) }
        clock.advance(milliseconds: 1000)
        guard case .close(1008, let reason) = try slow.closeEvent() else {
            throw TestFailure("the connection is not closed with 1008")
        }
        #expect(reason.contains("body-seconds"))
        try synchronize(steady)
        try steady.socket.send(opcode: 0, Array("}".utf8))
        try steady.next("error")
    }
}

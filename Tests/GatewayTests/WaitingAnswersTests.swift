import Bytes
import ChatModel
import Configuration
import GatewayTestSupport
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// Connections that request much and read nothing.
@Suite("Answers that wait for readers", .ownThread)
struct WaitingAnswersTests {
    private static let limit = 200_000
    /// More than the kernel's buffers have room for.
    private static let pageLimit = 4_000_000

    /// What requests 1.6 MB. `synchronize` shows that the node has read the frames before it.
    struct LargeRequest: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let path: @Sendable (_ user: String) throws -> String
        /// Nil for a replay, which begins with the connection.
        let frame: String?
    }

    private static let requests = [
        LargeRequest(
            testDescription: "history of Conversations",
            path: { try TestNode.path($0, in: "room") },
            frame: #"{"action":"fetch_messages","limit":100}"#),
        LargeRequest(
            testDescription: "replay", path: { try TestNode.path($0, in: "room", after: "0") },
            frame: nil),
        LargeRequest(
            testDescription: "history of Pets",
            path: { "/ws/?token=\(try TestNode.token($0))" },
            frame: #"{"event":"history","data":{"conversation_id":"room","limit":100}}"#),
    ]

    private func open(_ request: LargeRequest, as user: String, at node: TestNode) throws
        -> TestPeer
    {
        let peer = try TestPeer(request.path(user), port: node.port, receiveBytes: 65_536)
        if let frame = request.frame { try peer.send(frame) }
        return peer
    }

    @Test(
        "are one for a user, and on other connections further ones below the limit",
        arguments: requests)
    func perUser(_ request: LargeRequest) throws {
        let node = try TestNode(loops: 2, dialects: TestNode.allDialects) {
            $0.live.limits.allowEverything()
            $0.live.limits.outboundBytes = Self.limit
            $0.live.limits.pageBytes = Self.pageLimit
        }
        try node.fill(100, bytes: 16_000)
        let first = try self.open(request, as: "ann", at: node)
        try Deadline.wait(
            for: "the answer to wait",
            untilTrue: { node.rate(of: "ann").waitingBytes > Self.limit })
        var others: [TestPeer] = []
        for _ in 0..<5 { others.append(try self.open(request, as: "ann", at: node)) }
        try TestPeer.wait(for: "the end of the others", among: others) {
            others.allSatisfy { $0.closeEvent != nil || $0.isClosed }
        }
        #expect(others.allSatisfy { $0.closeEvent?.closeCode == 1013 })
        // Another user gets it, and so does this one after its first connection has read.
        for user in ["bob", "ann"] {
            let reader = user == "bob" ? try self.open(request, as: user, at: node) : first
            var bytes = 0
            try TestPeer.wait(for: "the answer", among: [reader]) {
                bytes += reader.drainTexts().reduce(0) { $0 + $1.utf8.count }
                return bytes > 1_600_000
            }
        }
        try Deadline.wait(
            for: "the user's answers to be read",
            untilTrue: { node.rate(of: "ann").waitingBytes == 0 })
        let again = try self.open(request, as: "ann", at: node)
        var bytes = 0
        try TestPeer.wait(for: "the answer", among: [again]) {
            bytes += again.drainTexts().reduce(0) { $0 + $1.utf8.count }
            return bytes > 1_600_000
        }
        #expect(again.closeEvent == nil)
    }

    @Test("are freed when their connection ends")
    func freed() throws {
        let node = try TestNode {
            $0.live.limits.outboundBytes = Self.limit
            $0.live.limits.pageBytes = Self.pageLimit
        }
        var limits = node.live
        limits.limits.allowEverything()
        node.gateway.reload(limits)
        try node.fill(100, bytes: 16_000)
        var peer: TestPeer? = try self.open(Self.requests[0], as: "ann", at: node)
        try Deadline.wait(
            for: "the answer to wait",
            untilTrue: { node.rate(of: "ann").waitingBytes > Self.limit })
        _ = peer
        peer = nil
        try Deadline.wait(
            for: "the end", untilTrue: { node.rate(of: "ann").waitingBytes == 0 })
    }
}

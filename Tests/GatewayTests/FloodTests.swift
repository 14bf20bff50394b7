import ChatModel
import Configuration
import GatewayTestSupport
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// A client that goes on sending above the limit of its user, on a node whose clock the test
/// advances.
@Suite("A flood of frames", .ownThread)
struct FloodTests {
    private static let perSecond = 10
    private static let burst = 20
    /// The burst, as many free refusals, and the one with which a pause begins.
    private static let atOnce = 2 * burst + 1

    /// A protocol, a frame that it answers at once, and how the answer begins.
    struct Flood: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let path: String
        var opening: [String] = []
        let frame: String
        let answer: String
    }

    private static let floods = [
        Flood(
            testDescription: "Conversations", path: "/conversations/room/?",
            frame: #"{"action":"dance"}"#, answer: #"{"type":"error""#),
        Flood(
            testDescription: "Pets", path: "/ws/?", frame: #"{"event":"dance","data":{}}"#,
            answer: #"{"event":"error""#),
        Flood(
            testDescription: "Chats", path: "/ws/chats/?", frame: #"{"type":"dance"}"#,
            answer: #"{"type":"error""#),
        Flood(
            testDescription: "Agents", path: "/v1/ws?", frame: #"{"type":"dance"}"#,
            answer: #"{"type":"ERROR""#),
        Flood(
            testDescription: "Rooms", path: "/socket.io/?EIO=4&transport=websocket&",
            opening: ["40"], frame: #"42["dance",{}]"#, answer: #"42["error""#),
    ]

    private let clock = StoppedClock(monotonic: 10_000)

    private func node() throws -> TestNode {
        try TestNode(dialects: TestNode.allDialects) { [clock] setup in
            setup.settings.readClocks = { clock.reading }
            setup.live.limits.messagesPerSecond = Self.perSecond
            setup.live.limits.messageBurst = Self.burst
        }
    }

    private func peer(_ flood: Flood, at node: TestNode, compresses: Bool = false) throws
        -> TestPeer
    {
        let token = try TestNode.token("ann")
        let peer = try TestPeer(
            "\(flood.path)token=\(token)", port: node.port, compresses: compresses)
        for frame in flood.opening { try peer.send(frame) }
        return peer
    }

    /// Advances the clock until the peer is closed, and waits for answers in between.
    ///
    /// - Parameter bob: another client of the loop, whose answers show that the loop has read all
    ///   that it reads for now. If the clock moved before that, the flood would seem to pause.
    /// - Returns: the seconds.
    private func awaitClose(of peer: TestPeer, beside bob: ConversationClient) throws -> Int {
        for second in 1...15 {
            for _ in 0..<3 { try bob.synchronize() }
            let count = peer.texts.count
            self.clock.advance(milliseconds: 1000)
            try TestPeer.wait(for: "an answer or the end", among: [peer]) {
                peer.texts.count > count || peer.closeEvent != nil || peer.isClosed
            }
            if peer.closeEvent != nil || peer.isClosed { return second }
        }
        throw TestFailure("not closed: \(peer.texts.count)")
    }

    @Test(
        "is read at the limit of the user, and ends with 4429 after ten seconds", arguments: floods)
    func closes(_ flood: Flood) throws {
        let node = try self.node()
        let peer = try self.peer(flood, at: node)
        for _ in 0..<1000 { try peer.send(flood.frame) }
        func answers() -> Int { peer.texts.count { $0.hasPrefix(flood.answer) } }
        let first = Self.atOnce - flood.opening.count
        try TestPeer.wait(for: "the burst and the refusals", among: [peer]) { answers() >= first }
        // Another user's frames show that the loop has done more turns.
        let bob = try node.conversationClient("bob")
        for _ in 0..<5 { try bob.synchronize() }
        try peer.receiveNow()
        #expect(answers() == first)
        let seconds = try self.awaitClose(of: peer, beside: bob)
        #expect((10...12).contains(seconds))
        #expect(answers() <= first + seconds * Self.perSecond + 1, "\(answers())")
        try TestPeer.wait(for: "the close frame", among: [peer]) { peer.closeEvent != nil }
        #expect(peer.closeEvent?.closeCode == 4429)
        if flood.testDescription == "Rooms" { #expect(peer.texts.contains("41")) }
        let closed = try node.log("flooding client closed", atLeast: 1)
        #expect(closed[0]["user"] == "default/ann")
    }

    @Test("of typing counts, although nothing answers it", arguments: [1000])
    func typing(count: Int) throws {
        let node = try self.node()
        let peer = try self.peer(Self.floods[0], at: node)
        for _ in 0..<count { try peer.send(#"{"action":"typing","is_typing":true}"#) }
        func refused() -> Int { peer.texts.count { $0.contains("rate limited") } }
        try TestPeer.wait(for: "the refusals", among: [peer]) { refused() > Self.burst }
        let bob = try node.conversationClient("bob")
        for _ in 0..<5 { try bob.synchronize() }
        try peer.receiveNow()
        #expect(refused() == Self.burst + 1)
        #expect(try self.awaitClose(of: peer, beside: bob) <= 12)
    }

    /// Frames that no session gets.
    private static let silentFrames: [(name: String, first: [UInt8], frame: [UInt8])] = [
        ("pings", [], RawWebSocketClient.frame(opcode: 9)),
        ("unsolicited pongs", [], RawWebSocketClient.frame(opcode: 10)),
        (
            "empty fragments", RawWebSocketClient.frame(opcode: 1, isFinal: false),
            RawWebSocketClient.frame(opcode: 0, isFinal: false)
        ),
        (
            "fragments of one byte", RawWebSocketClient.frame(opcode: 2, [0x20], isFinal: false),
            RawWebSocketClient.frame(opcode: 0, [0x20], isFinal: false)
        ),
    ]

    @Test("of frames that nothing answers counts too", arguments: 0..<silentFrames.count)
    func silent(_ index: Int) throws {
        let (name, first, frame) = Self.silentFrames[index]
        let node = try self.node()
        let peer = try self.peer(Self.floods[0], at: node)
        try peer.send(bytes: first)
        for _ in 0..<1000 { try peer.send(bytes: frame) }
        let bob = try node.conversationClient("bob")
        try Deadline.wait(
            for: "the end",
            untilTrue: {
                try bob.synchronize()
                self.clock.advance(milliseconds: 200)
                try peer.receiveNow()
                return peer.closeEvent != nil
            })
        #expect(peer.closeEvent?.closeCode == 4429, "\(name)")
        #expect(peer.events.count { $0 == .pong([]) } < 1000)
    }

    @Test("of packets without a message counts over polling, too", arguments: ["3", "6"])
    func pollingPackets(packet: String) throws {
        let node = try self.node()
        let client = try PollingClient(port: node.port)
        try client.connectNamespace(token: TestNode.token("ann"))
        let body = [String](repeating: packet, count: 100).joined(separator: "\u{1E}")
        try Deadline.wait(
            for: "the end of the session",
            untilTrue: {
                // A client that is silent for longer does not go on sending.
                self.clock.advance(milliseconds: 50)
                let status = try client.post(body).status
                return status != 200 && status != 413
            })
        let closed = try node.log("flooding client closed", atLeast: 1)
        #expect(closed[0]["user"] == "default/ann")
    }

    @Test("is not read to its end after a close by the node", arguments: [true, false])
    func afterClose(isTooLong: Bool) throws {
        let node = try self.node()
        // An invalid token closes with 4003.
        let token = isTooLong ? try TestNode.token("ann") : "invalid"
        let path = "/conversations/room/?token=\(token)"
        let stream = try ByteStream(port: node.port)
        try stream.send(TestNode.upgradeRequest(path))
        #expect(try HTTPReply(from: stream).status == 101)
        let frame: [UInt8]
        if isTooLong {
            // The header of a frame of 2 MiB closes with 1009.
            try stream.send([0x81, 0xFF, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0])
            frame = [UInt8](repeating: 0, count: 1 << 20)
        } else {
            frame = [UInt8](
                repeatElement(RawWebSocketClient.frame(opcode: 9), count: 100_000).joined())
        }
        // Every other answer shows that the loop has read what it reads of this connection.
        var (sent, refusals) = (0, 0)
        while refusals < 5, sent < 64 << 20, let count = stream.sendNow(frame) {
            #expect(try HTTPReply.get("/api/health", port: node.port).status == 200)
            sent += count
            refusals = count == 0 ? refusals + 1 : 0
        }
        #expect(sent < 64 << 20)
    }

    @Test("that inflate counts by its inflated bytes")
    func compressed() throws {
        let node = try self.node()
        let peer = try self.peer(Self.floods[0], at: node, compresses: true)
        // Ten times the longest message costs eleven frames.
        let text = #"{"action":"dance","x":"\#(String(repeating: "0", count: 655_360))"}"#
        for _ in 0..<20 { try peer.send(text, compressed: true) }
        func answers(_ sentence: String) -> Int { peer.texts.count { $0.contains(sentence) } }
        // One is admitted. Two refusals use up the free ones, and a pause begins.
        try TestPeer.wait(for: "the pause", among: [peer]) {
            answers("is longer than 65536 bytes") >= 3
        }
        let bob = try node.conversationClient("bob")
        for _ in 0..<5 { try bob.synchronize() }
        try peer.receiveNow()
        #expect(answers("is longer than 65536 bytes") == 3)
    }

    /// A polling client, whose frames come in the bodies of requests.
    @Test("over polling is read at the limit too")
    func polling() throws {
        let node = try self.node()
        let client = try PollingClient(port: node.port)
        try client.connectNamespace(token: TestNode.token("ann"))
        let frames = [String](repeating: #"42["dance",{}]"#, count: 200)
        #expect(try client.post(frames.joined(separator: "\u{1E}")).status == 200)
        var errors = 0
        // CONNECT has named the user, and counted for the address.
        while errors < Self.atOnce {
            errors += try client.packets(1).count { $0.hasPrefix(#"42["error""#) }
        }
        #expect(errors == Self.atOnce)
        self.clock.advance(milliseconds: 1000)
        let more = try client.packets(1).count { $0.hasPrefix(#"42["error""#) }
        #expect(more > 0 && more <= Self.perSecond + 1)
    }

    @Test("of another user is not affected by the one who floods")
    func others() throws {
        let node = try self.node()
        let peer = try self.peer(Self.floods[0], at: node)
        let bob = try node.conversationClient("bob")
        for _ in 0..<1000 { try peer.send(#"{"action":"dance"}"#) }
        for number in 0..<10 {
            try bob.sendMessage("\(number)", as: "\(number)")
            #expect(try bob.next("chat_message").object("message")?["content"] == "\(number)")
        }
    }
}

import ChatModel
import Configuration
import Foundation
import Gateway
import GatewayTestSupport
import HTTPWire
import TestKit
import TestTraits
import Testing

@Suite("A WebSocket", .ownThread)
struct WebSocketTests {
    private let node: TestNode

    init() throws {
        self.node = try TestNode { setup in
            setup.live.limits.frameBytes = 100_000
        }
    }

    @Test(
        "gets back the messages that it sends, of every size and kind",
        arguments: [0, 1, 125, 126, 127, 65_535, 65_536, 99_999, 100_000])
    func echo(count: Int) throws {
        let socket = try self.node.echo()
        let text = String(repeating: "é", count: count / 2) + (count % 2 == 1 ? "x" : "")
        try socket.send(text)
        #expect(try socket.next() == .text(text))
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try socket.send(opcode: 2, bytes)
        #expect(try socket.next() == .binary(bytes))
        try socket.close()
        try self.node.waitForConnections(0)
    }

    @Test("names the first subprotocol that the client offers, because browsers expect one")
    func subprotocol() throws {
        for (offer, chosen) in [("b, a", "b"), ("", nil)] as [(String, String?)] {
            let stream = try ByteStream(port: self.node.port)
            let field = offer.isEmpty ? "" : "Sec-WebSocket-Protocol: \(offer)\r\n"
            try stream.send(TestNode.upgradeRequest("/echo", lines: field))
            let reply = try HTTPReply(from: stream)
            #expect(reply.status == 101)
            #expect(reply.fields["sec-websocket-protocol"] == chosen)
        }
    }

    @Test("may send in fragments, with pings between them")
    func fragments() throws {
        let socket = try self.node.echo()
        try socket.send(opcode: 1, Array("Grü".utf8).dropLast(), isFinal: false)
        try socket.send(opcode: 9, [1, 2, 3])
        try socket.send(opcode: 0, Array("ü".utf8).suffix(1) + Array("ße".utf8), isFinal: false)
        try socket.send(opcode: 0, [], isFinal: false)
        try socket.send(opcode: 10)
        try socket.send(opcode: 0, Array("!".utf8))
        #expect(try socket.next() == .pong([1, 2, 3]))
        #expect(try socket.next() == .text("Grüße!"))
    }

    @Test(
        "is read however its bytes are split, including the request",
        arguments: [1, 2, 5])
    func cut(size: Int) throws {
        let stream = try ByteStream(port: self.node.port)
        var bytes = Array(TestNode.upgradeRequest("/echo").utf8)
        bytes += RawWebSocketClient.frame(opcode: 1, Array("one".utf8))
        bytes += RawWebSocketClient.frame(opcode: 2, [UInt8](repeating: 7, count: 300))
        bytes += RawWebSocketClient.frame(opcode: 9, Array("?".utf8))
        bytes +=
            RawWebSocketClient.frame(opcode: 1, Array("t".utf8), isFinal: false)
            + RawWebSocketClient.frame(opcode: 0, Array("wo".utf8))
        bytes += RawWebSocketClient.frame(opcode: 8, [0x03, 0xE8])
        for start in stride(from: 0, to: bytes.count, by: size) {
            try stream.send(Array(bytes[start..<min(start + size, bytes.count)]))
        }
        #expect(try HTTPReply(from: stream).status == 101)
        #expect(stream.readToEnd())
        let answers = try Array(stream.peek(atLeast: 0))
        let expected: [UInt8] =
            [0x81, 3] + Array("one".utf8) + [0x82, 126, 1, 44] + [UInt8](repeating: 7, count: 300)
            + [0x8A, 1, 0x3F] + [0x81, 3]
            + Array("two".utf8) + [0x88, 2, 0x03, 0xE8]
        #expect(answers == expected)
    }

    @Test("may send ten thousand frames in one write")
    func manyFrames() throws {
        let socket = try self.node.echo()
        try socket.stream.send(
            (0..<10_000).flatMap { RawWebSocketClient.frame(opcode: 1, Array("\($0)".utf8)) })
        for number in 0..<10_000 { #expect(try socket.next() == .text("\(number)")) }
    }

    @Test(
        "may send before it has read the response to its upgrade, with one loop or several",
        arguments: [1, 3])
    func early(loops: Int) throws {
        let node = try TestNode(loops: loops) { $0.live.limits.allowEverything() }
        // Conversations are on different loops, so most of these connections are handed over.
        for number in 0..<12 {
            let stream = try ByteStream(port: node.port)
            let path = try TestNode.path("ann", in: "room-\(number)")
            let frames = (0..<20).flatMap {
                RawWebSocketClient.frame(
                    opcode: 1, Array(#"{"action":"send_message","content":"\#($0)"}"#.utf8))
            }
            try stream.send(
                Array(TestNode.upgradeRequest(path).utf8) + frames
                    + RawWebSocketClient.frame(opcode: 9, [UInt8(number)]))
            #expect(try HTTPReply(from: stream).status == 101)
            var text = ""
            while !text.contains(#""content":"19""#) {
                let bytes = try stream.peek(atLeast: 1)
                text += String(decoding: bytes, as: UTF8.self)
                stream.consume(bytes.count)
                guard !bytes.isEmpty else { break }
            }
            let indices = (0..<20).compactMap { text.range(of: #""content":"\#($0)""#)?.lowerBound }
            #expect(indices.count == 20 && indices == indices.sorted())
        }
    }

    // MARK: Closing

    @Test(
        "is closed with the peer's own code", arguments: [1000, 1001, 3000, 4999, nil] as [UInt16?])
    func closedByPeer(code: UInt16?) throws {
        let socket = try self.node.echo()
        try socket.send("last words")
        try socket.send(
            opcode: 8, code.map { [UInt8($0 >> 8), UInt8($0 & 0xFF)] + Array("bye".utf8) } ?? [])
        #expect(try socket.next() == .text("last words"))
        #expect(try socket.next() == .close(code: code, reason: ""))
        #expect(try socket.next() == .end)
        try self.node.waitForConnections(0)
    }

    @Test("is closed when its peer disappears, with or without a TCP close")
    func vanished() throws {
        let sockets = try (0..<4).map { _ in try self.node.echo() }
        sockets[0].dropConnection()
        sockets[1].stream.finishSending()
        // A client that ends with unread input resets the connection.
        try sockets[2].send(String(repeating: "x", count: 1000))
        _ = try sockets[2].stream.peek(atLeast: 1)
        sockets[2].dropConnection()
        try self.node.waitForConnections(1)
        try sockets[3].send("still here")
        #expect(try sockets[3].next() == .text("still here"))
    }

    /// A violation of RFC 6455.
    struct Violation: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]
        let code: UInt16

        static let all: [Violation] = [
            .init(testDescription: "no mask", bytes: [0x81, 1, 0x41], code: 1002),
            .init(testDescription: "a reserved bit", bytes: [0xC1, 0x80, 0, 0, 0, 0], code: 1002),
            .init(
                testDescription: "an unknown opcode", bytes: [0x83, 0x80, 0, 0, 0, 0], code: 1002),
            .init(
                testDescription: "a ping in pieces", bytes: [0x09, 0x80, 0, 0, 0, 0], code: 1002),
            .init(testDescription: "a long ping", bytes: [0x89, 0xFE, 0, 126], code: 1002),
            .init(
                testDescription: "a continuation of nothing",
                bytes: RawWebSocketClient.frame(opcode: 0, [0x41]), code: 1002),
            .init(
                testDescription: "a message inside of another",
                bytes: RawWebSocketClient.frame(opcode: 1, [0x41], isFinal: false)
                    + RawWebSocketClient.frame(opcode: 1, [0x41]), code: 1002),
            .init(
                testDescription: "a length that is written too long", bytes: [0x81, 0xFE, 0, 5],
                code: 1002),
            .init(
                testDescription: "a close of one byte",
                bytes: RawWebSocketClient.frame(opcode: 8, [3]), code: 1002),
            .init(
                testDescription: "a close code that only says what was missing",
                bytes: RawWebSocketClient.frame(opcode: 8, [3, 0xED]),
                code: 1002),
            .init(
                testDescription: "a close reason that is no UTF-8",
                bytes: RawWebSocketClient.frame(opcode: 8, [3, 0xE8, 0xFF]), code: 1007),
            .init(
                testDescription: "text that is no UTF-8",
                bytes: RawWebSocketClient.frame(opcode: 1, [0xC0, 0x80]), code: 1007),
            .init(
                testDescription: "text that ends early",
                bytes: RawWebSocketClient.frame(opcode: 1, [0xE2, 0x82]), code: 1007),
            .init(
                testDescription: "a frame that is too long",
                bytes: [0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0x86, 0xA1], code: 1009),
            .init(
                testDescription: "a message that is too long",
                bytes: RawWebSocketClient.frame(
                    opcode: 2, [UInt8](repeating: 0, count: 60_000), isFinal: false) + [
                        0x80, 0xFE, 0xC3, 0x50,
                    ],
                code: 1009),
        ]
    }

    @Test(
        "gets answers to valid frames, then the reason for its close, whatever follows",
        arguments: Violation.all)
    func violation(_ violation: Violation) throws {
        let socket = try self.node.echo()
        try socket.send("good")
        // If the server closed the connection with these bytes unread, the kernel would reset it
        // and discard the close frame.
        try socket.stream.send(violation.bytes + [UInt8](repeating: 0x55, count: 300_000))
        #expect(try socket.next() == .text("good"))
        guard case .close(let code, let reason) = try socket.next() else {
            Issue.record("no close frame came")
            return
        }
        #expect(code == violation.code)
        #expect(reason.hasSuffix("."))
        #expect(try socket.next() == .end)
        socket.dropConnection()
        try self.node.waitForConnections(0)
    }

    @Test("need not answer the close frame after its violation")
    func silentPeer() throws {
        let socket = try self.node.echo()
        try socket.stream.send([0x81, 1, 0x41])
        #expect(socket.stream.readToEnd())
        // The server shuts down its side at once. The connection ends when the peer closes, or
        // after a timeout.
        try self.node.waitForConnections(0)
    }
}

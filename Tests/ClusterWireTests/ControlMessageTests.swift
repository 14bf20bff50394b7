import Bytes
import SeededRandom
import Testing

@testable import ClusterWire

@Suite("A control message")
struct ControlMessageTests {
    private static let message = ControlMessage(
        .request, from: 7, to: UInt64.max, id: 1 << 40, topic: "node", body: #"{"grüße":[1,2]}"#)

    private static func bytes(_ message: ControlMessage = Self.message, key: ClusterKey = .sample)
        -> [UInt8]
    {
        var buffer = ByteBuffer()
        message.write(to: &buffer, key: key)
        return buffer.bytes
    }

    private static func read(
        _ bytes: [UInt8], for receiver: UInt64 = .max, key: ClusterKey = .sample
    ) throws(NodePacketError) -> ControlMessage {
        try ControlMessage(bytes.span.bytes, for: receiver, key: key)
    }

    @Test("is read as it was written, and is not a packet")
    func roundTrip() throws {
        let answer = ControlMessage(.reply, from: 1, to: .max, id: 0, topic: "", body: "")
        for message in [Self.message, answer] {
            #expect(try Self.read(Self.bytes(message)) == message)
        }
        let (marked, packet) = (Self.bytes(), NodePacket.bytes([]))
        let areMarked = [
            ControlMessage.isControlMessage(marked.span.bytes),
            ControlMessage.isControlMessage(packet.span.bytes),
        ]
        #expect(areMarked == [true, false])
        #expect(throws: NodePacketError.unsupportedVersion(UInt8(ascii: "M"))) {
            try NodePacket.read(Self.bytes())
        }
        #expect(throws: NodePacketError.unsupportedVersion(1)) {
            try Self.read([1] + Self.bytes().dropFirst())
        }
    }

    @Test(
        "is rejected if it is changed or truncated, has another key, or another receiver"
    )
    func refusals() {
        let bytes = Self.bytes()
        for index in bytes.indices.dropFirst() {
            var changed = bytes
            changed[index] ^= 1
            #expect(throws: NodePacketError.notAuthentic) { try Self.read(changed) }
        }
        for count in bytes.indices {
            let expected: NodePacketError =
                count < ControlMessage.headerBytes + NodePacket.codeBytes
                ? .tooShort : .notAuthentic
            #expect(throws: expected) { try Self.read(Array(bytes[..<count])) }
        }
        #expect(throws: NodePacketError.notAuthentic) { try Self.read(bytes, key: .other) }
        #expect(throws: NodePacketError.wrongReceiver(.max)) { try Self.read(bytes, for: 3) }
        #expect(throws: NodePacketError.tooLong(limit: ControlMessage.byteLimit)) {
            try Self.read(
                [UInt8](repeating: ControlMessage.marker, count: ControlMessage.byteLimit + 1))
        }
    }

    @Test("with invalid content and a valid code is rejected without a crash")
    func hostileContent() {
        let whole = Self.bytes().dropLast(NodePacket.codeBytes)
        var random = SeededGenerator(seed: 11)
        for _ in 0..<2000 {
            var content = Array(whole)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                content[Int.random(in: 1..<content.count, using: &random)] = UInt8.random(
                    in: 0...255, using: &random)
            }
            var buffer = ByteBuffer(content)
            ClusterKey.sample.seal(&buffer, from: 0)
            _ = try? Self.read(buffer.bytes)
        }
        var unknown = ByteBuffer([ControlMessage.marker, 9] + whole.dropFirst(2))
        ClusterKey.sample.seal(&unknown, from: 0)
        #expect(throws: NodePacketError.unknownFlags(9)) { try Self.read(unknown.bytes) }
    }

    @Test("is sent only within its size limits")
    func sizeLimit() throws {
        let largest = ControlMessage(
            .reply, from: 1, to: .max, id: 1, topic: "t",
            body: String(repeating: "x", count: ControlMessage.byteLimit - 154))
        #expect(largest.isWithinLimits)
        #expect(try Self.read(Self.bytes(largest)) == largest)
        #expect(
            !ControlMessage(.reply, from: 1, to: 2, id: 1, topic: "t", body: largest.body + "x")
                .isWithinLimits)
        #expect(
            !ControlMessage(
                .reply, from: 1, to: 2, id: 1, topic: String(repeating: "t", count: 65), body: ""
            ).isWithinLimits)
    }
}

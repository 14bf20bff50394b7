import EngineIO
import SeededRandom
import Testing

@Suite("An Engine.IO payload")
struct EnginePayloadTests {
    struct ReadPacket: Hashable {
        let kind: EnginePacketKind
        let isBinary: Bool
        let data: String

        init(_ kind: EnginePacketKind, _ data: String, isBinary: Bool = false) {
            self.kind = kind
            self.isBinary = isBinary
            self.data = data
        }
    }

    static func read(_ bytes: [UInt8], packetLimit: Int = 100) throws(EnginePacketError)
        -> [ReadPacket]
    {
        let count = try EnginePayload.validate(bytes.span.bytes, packetLimit: packetLimit)
        var reader = EnginePayloadReader()
        var packets: [ReadPacket] = []
        while let packet = try reader.next(in: bytes.span.bytes) {
            packets.append(
                ReadPacket(
                    packet.kind, String(decoding: bytes[packet.data], as: UTF8.self),
                    isBinary: packet.isBinary))
        }
        #expect(packets.count == count)
        return packets
    }

    @Test(
        "contains packets of every type",
        arguments: [
            ("0{}", .open, "{}"), ("1", .close, ""), ("2", .ping, ""), ("2probe", .ping, "probe"),
            ("3", .pong, ""),
            ("4hello", .message, "hello"), ("4", .message, ""), ("4€é😀", .message, "€é😀"),
            ("4b", .message, "b"), ("5", .upgrade, ""),
            ("6", .noop, ""),
        ] as [(String, EnginePacketKind, String)])
    func packetTypes(_ text: String, _ kind: EnginePacketKind, _ data: String) throws {
        #expect(try Self.read(Array(text.utf8)) == [ReadPacket(kind, data)])
    }

    @Test("contains text and binary packets between separators")
    func severalPackets() throws {
        #expect(
            try Self.read(Array("4hello\u{1E}2\u{1E}bAQIDBA==\u{1E}b\u{1E}4€".utf8)) == [
                ReadPacket(.message, "hello"), ReadPacket(.ping, ""),
                ReadPacket(.message, "AQIDBA==", isBinary: true),
                ReadPacket(.message, "", isBinary: true),
                ReadPacket(.message, "€"),
            ])
    }

    @Test(
        "is rejected with an error",
        arguments: [
            ([], .empty), ([0x1E], .empty), (Array("4a\u{1E}".utf8), .empty),
            (Array("\u{1E}4a".utf8), .empty),
            (Array("4a\u{1E}\u{1E}4b".utf8), .empty), (Array("7".utf8), .unknownType(0x37)),
            (Array("4a\u{1E}9".utf8), .unknownType(0x39)),
            (Array("/".utf8), .unknownType(0x2F)), (Array("B".utf8), .unknownType(0x42)),
            (Array(" 4a".utf8), .unknownType(0x20)),
            (Array("\"4a\"".utf8), .unknownType(0x22)),
            (Array("6:4hello".utf8) + [0x1E, 0], .unknownType(0)), ([0xFF], .unknownType(0xFF)),
            (Array("4".utf8) + [0xFF], .notUTF8), (Array("4".utf8) + [0xC3], .notUTF8),
            (Array("4".utf8) + [0xED, 0xA0, 0x80], .notUTF8),
            (Array("4".utf8) + [0xC3, 0x1E] + Array("4".utf8) + [0xA9], .notUTF8),
            (Array("4".utf8) + [0xC0, 0x80], .notUTF8),
            (Array("4\u{1E}4\u{1E}4\u{1E}4".utf8), .tooManyPackets(limit: 3)),
        ] as [([UInt8], EnginePacketError)])
    func rejected(_ bytes: [UInt8], _ error: EnginePacketError) {
        #expect(throws: error) { try Self.read(bytes, packetLimit: 3) }
        #expect(!error.description.isEmpty)
    }

    @Test("has a defined result wherever it is truncated")
    func truncated() {
        let whole = Array("4hé\u{1E}bAQ==\u{1E}3\u{1E}4€".utf8)
        for length in 0..<whole.count {
            let cut = Array(whole.prefix(length))
            let pieces = cut.split(
                separator: EnginePayload.separator, omittingEmptySubsequences: false)
            do throws(EnginePacketError) {
                let packets = try Self.read(cut)
                #expect(packets.count == pieces.count)
            } catch {
                #expect(error == (pieces.contains { $0.isEmpty } ? .empty : .notUTF8))
            }
        }
    }

    @Test(
        "can be split only between packets",
        arguments: ["4hello\u{1E}bAQ==\u{1E}3\u{1E}4x"])
    func split(_ text: String) throws {
        let whole = Array(text.utf8)
        let packets = try Self.read(whole)
        for offset in 0..<whole.count {
            let before = Array(whole.prefix(offset))
            let after = Array(whole.dropFirst(offset))
            guard whole[offset] == EnginePayload.separator else {
                let parts = try? Self.read(before) + Self.read(after)
                #expect(parts != packets)
                continue
            }
            #expect(try Self.read(before) + Self.read(Array(after.dropFirst())) == packets)
            #expect(throws: EnginePacketError.empty) { try Self.read(after) }
        }
    }

    @Test("returns the packets that were written", arguments: 0..<200 as Range<UInt64>)
    func roundTrip(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let packets = (0...random.number(0...20)).map { _ in
            ReadPacket(
                .message,
                String(
                    (0..<random.number(0...30)).map { _ in
                        random.pick(Array("aé€😀\u{1F}\u{1D}b4 \n")) ?? " "
                    }))
        }
        let text = packets.map { "4\($0.data)" }.joined(separator: "\u{1E}")
        #expect(try Self.read(Array(text.utf8)) == packets)
    }

    @Test("with a million packets is rejected before any is accepted, without memory for each")
    func million() {
        var body = [UInt8](repeating: EnginePayload.separator, count: 1_999_999)
        for offset in stride(from: 0, to: body.count, by: 2) { body[offset] = UInt8(ascii: "4") }
        #expect(throws: EnginePacketError.tooManyPackets(limit: 16_384)) {
            _ = try EnginePayload.validate(body.span.bytes, packetLimit: 16_384)
        }
        #expect((try? EnginePayload.validate(body.span.bytes, packetLimit: 1_000_000)) == 1_000_000)

        var driver = EngineSessionDriver(settings: EngineSettings(maxPayload: 2_000_000))
        #expect(driver.post(1, body) == [.refused(1, .payloadTooLarge)])
        #expect(driver.post(2, "4still here") == [.message("still here"), .accepted(2)])
    }
}

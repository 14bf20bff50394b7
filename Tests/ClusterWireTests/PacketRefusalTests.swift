import Bytes
import ChatEngine
import ChatModel
import SeededRandom
import TestKit
import TestTraits
import Testing

@testable import ClusterWire

@Suite("A packet is rejected", .ownThread)
struct PacketRefusalTests {
    private static let bytes = NodePacket.bytes([
        .carrying([Samples.items[1], Samples.items[3], .resynchronize])
    ])

    /// Every bit, or one of each byte: another one of the next byte.
    @Test("if any bit has changed")
    func flips() {
        for index in Self.bytes.indices {
            for bit in TestRun.isLong ? Array(0..<8) : [index % 8] {
                var bytes = Self.bytes
                bytes[index] ^= 1 << UInt8(bit)
                #expect(
                    throws: index == 0
                        ? .unsupportedVersion(bytes[0]) : NodePacketError.notAuthentic
                ) { try NodePacket.read(bytes) }
            }
        }
    }

    @Test("if it is truncated at any byte, or has an additional one")
    func cuts() {
        for count in Self.bytes.indices {
            let expected: NodePacketError =
                count < NodePacket.headerBytes + NodePacket.codeBytes ? .tooShort : .notAuthentic
            #expect(throws: expected) { try NodePacket.read(Array(Self.bytes[..<count])) }
        }
        #expect(throws: NodePacketError.notAuthentic) { try NodePacket.read(Self.bytes + [0]) }
    }

    @Test("if it was sent with another key")
    func key() {
        #expect(throws: NodePacketError.notAuthentic) {
            try NodePacket.read(Self.bytes, key: .other)
        }
    }

    @Test("if it is for another node")
    func receiver() {
        #expect(throws: NodePacketError.wrongReceiver(LoopID.far.incarnation)) {
            try NodePacket.read(Self.bytes, for: 5)
        }
    }

    @Test("if it has another version, whatever its code is")
    func version() {
        #expect(throws: NodePacketError.unsupportedVersion(2)) {
            try NodePacket.read([2] + Self.bytes.dropFirst())
        }
        #expect(throws: NodePacketError.unsupportedVersion(0)) {
            try NodePacket.read([0] + Self.bytes.dropFirst())
        }
    }

    @Test("if it has unknown mandatory flags, and not for other flags")
    func flags() throws {
        func packet(flags: UInt8) throws(NodePacketError) -> NodePacket {
            var buffer = ByteBuffer(Array(Self.bytes.dropLast(NodePacket.codeBytes)))
            buffer.bytes[1] = flags
            ClusterKey.sample.seal(&buffer, from: 0)
            return try .read(buffer.bytes)
        }
        #expect(throws: NodePacketError.unknownFlags(0x18)) { try packet(flags: 0x18) }
        #expect(try packet(flags: 0xF0).envelopes.count == 1)
    }

    @Test("if it exceeds the maximum length")
    func long() {
        let bytes = [UInt8](repeating: NodePacket.version, count: NodePacket.byteLimit + 1)
        #expect(throws: NodePacketError.tooLong(limit: NodePacket.byteLimit)) {
            try NodePacket.read(bytes)
        }
    }

    @Test("with a reason in plain words")
    func description() {
        #expect(
            NodePacketError.unsupportedVersion(2).description
                == "The packet has version 2; this node supports version 1.")
        #expect(NodePacketError.wrongReceiver(35).description == "The packet is for node z.")
        #expect(
            NodePacketError.malformed(.text, at: 7).description
                == "The packet is malformed at byte 7: a text is not UTF-8.")
    }
}

@Suite("A packet with a valid code and invalid content", .ownThread)
struct MalformedPacketTests {
    @Test("is rejected or has fewer envelopes if it is truncated, and never traps")
    func cuts() {
        let whole = Array(NodePacket.bytes(Samples.envelopes).dropLast(NodePacket.codeBytes))
        for count in whole.indices {
            guard let packet = try? NodePacket(unsealed: Array(whole[..<count])) else { continue }
            #expect(packet.envelopes.count < Samples.envelopes.count)
        }
    }

    @Test("never traps if single bits are changed")
    func flips() {
        for item in Samples.items {
            var bytes = Array(NodePacket.bytes([.carrying([item])]).dropLast(NodePacket.codeBytes))
            for index in bytes.indices {
                for bit in TestRun.isLong ? [0, 1, 6, 7] : [index % 8] {
                    bytes[index] ^= 1 << UInt8(bit)
                    PacketProperty.check(bytes)
                    bytes[index] ^= 1 << UInt8(bit)
                }
            }
        }
    }

    @Test("never traps if random bytes are changed", arguments: 1...50)
    func randomDamage(seed: Int) {
        var random = RandomValues(seed: UInt64(seed))
        let envelope = random.envelope(from: LoopID.near.incarnation, to: LoopID.far.incarnation)
        let whole = Array(NodePacket.bytes([envelope]).dropLast(NodePacket.codeBytes))
        for _ in 0..<100 {
            var bytes = whole
            for _ in 0...random.generator.next(below: 4) {
                let index = random.generator.next(below: bytes.count)
                switch random.generator.next(below: 4) {
                case 0: bytes[index] = UInt8(truncatingIfNeeded: random.generator.next())
                case 1: bytes[index] = random.generator.pick([0, 1, 0x7F, 0x80, 0xFF])!
                case 2: bytes.insert(0xFF, at: index)
                default:
                    bytes.removeSubrange(
                        index..<min(bytes.count - 1, index + random.generator.next(below: 9)))
                }
                if bytes.isEmpty { bytes = whole }
            }
            PacketProperty.check(bytes)
        }
    }

    struct MalformedItem: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let defect: NodePacketError.Defect
        let item: @Sendable (inout ByteBuffer) -> Void
    }

    private static let malformedItems: [MalformedItem] = [
        MalformedItem(testDescription: "a text that ends behind its record", defect: .cutShort) {
            $0.append(5)
            $0.append(contentsOf: [200, 1])
        },
        MalformedItem(testDescription: "a text of nearly 2⁶⁴ bytes", defect: .cutShort) {
            $0.append(5)
            $0.append(1)
            $0.append(number: .max)
        },
        MalformedItem(testDescription: "a text that is not UTF-8", defect: .text) {
            $0.append(5)
            $0.append(contentsOf: [4, 2, 0xC3, 0x28, 0])
        },
        MalformedItem(testDescription: "a surrogate", defect: .text) {
            $0.append(5)
            $0.append(contentsOf: [5, 3, 0xED, 0xA0, 0x80, 0])
        },
        MalformedItem(testDescription: "a number of eleven bytes", defect: .number) {
            $0.append(3)
            $0.append(contentsOf: [UInt8](repeating: 0x80, count: 10) + [1])
        },
        MalformedItem(testDescription: "a number beyond 64 bits", defect: .number) {
            $0.append(3)
            $0.append(contentsOf: [UInt8](repeating: 0xFF, count: 9) + [2])
        },
        MalformedItem(testDescription: "a number that does not end", defect: .cutShort) {
            $0.append(3)
            $0.append(0x80)
        },
        MalformedItem(testDescription: "nothing at all", defect: .cutShort) { _ in },
        MalformedItem(testDescription: "a slot beyond 32 bits", defect: .number) {
            $0.append(2)
            $0.append(number: 7)
            $0.append(contentsOf: [1, 5])
            $0.append(number: 1 << 32)
        },
        MalformedItem(testDescription: "a list of more elements than bytes", defect: .count) {
            $0.appendAnswer {
                $0.append(4)
                $0.append(number: 1 << 40)
            }
        },
        MalformedItem(testDescription: "a list of 2⁶⁴ elements", defect: .count) {
            $0.appendAnswer {
                $0.append(4)
                $0.append(number: .max)
            }
        },
        MalformedItem(testDescription: "a list whose elements are missing", defect: .cutShort) {
            $0.appendAnswer {
                $0.append(4)
                $0.append(contentsOf: [2, 0x80, 0x80])
            }
        },
        MalformedItem(testDescription: "a sequence that is no sequence", defect: .number) {
            $0.appendAnswer {
                $0.append(2)
                $0.appendRecord { $0.append(count: -1) }
            }
        },
        MalformedItem(testDescription: "a moment after the year 9999", defect: .timestamp) {
            $0.appendAnswer {
                $0.append(2)
                $0.appendRecord {
                    $0.append(contentsOf: [1, 1])
                    $0.append(milliseconds: Timestamp(milliseconds: 253_402_300_800_000))
                }
            }
        },
        MalformedItem(
            testDescription: "the first moment that a number can hold", defect: .timestamp
        ) {
            $0.appendAnswer {
                $0.append(2)
                $0.appendRecord {
                    $0.append(contentsOf: [1, 1])
                    $0.append(milliseconds: Timestamp(milliseconds: .min))
                }
            }
        },
        MalformedItem(testDescription: "a delay that is no number", defect: .number) {
            $0.appendAnswer {
                $0.append(7)
                $0.appendRecord {
                    $0.append(13)
                    $0.append(number: Double.nan.bitPattern)
                }
            }
        },
        MalformedItem(testDescription: "an infinite delay", defect: .number) {
            $0.appendAnswer {
                $0.append(7)
                $0.appendRecord {
                    $0.append(13)
                    $0.append(number: Double.infinity.bitPattern)
                }
            }
        },
        MalformedItem(testDescription: "a range that ends beyond all messages", defect: .number) {
            $0.appendInput {
                $0.append(5)
                $0.append(string: "alice")
                $0.append(count: 1 << 53)
                $0.append(count: 1)
            }
        },
        MalformedItem(testDescription: "an online user that is no member", defect: .number) {
            $0.appendAnswer {
                $0.append(6)
                $0.appendRecord {
                    $0.append(record: Samples.record)
                    $0.append(count: 12)
                    $0.append(list: [Member.alice])
                    $0.append(contentsOf: [1, 1, 0])
                }
            }
        },
    ]

    @Test("is rejected with the right reason", arguments: Self.malformedItems)
    func refused(_ malformed: MalformedItem) throws {
        let bytes = NodePacket.unsealed {
            $0.append(contentsOf: [0, 0, 1, 1, 1])
            $0.appendRecord(malformed.item)
        }
        let error = #expect(throws: NodePacketError.self) { try NodePacket(unsealed: bytes) }
        guard case .malformed(let flaw, let index)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(flaw == malformed.defect)
        #expect((NodePacket.headerBytes...bytes.count).contains(index))
    }

    @Test("is rejected if a loop number is out of range")
    func loop() {
        let bytes = NodePacket.unsealed {
            $0.append(number: 65_536)
            $0.append(contentsOf: [0, 1, 1, 0])
        }
        #expect(throws: NodePacketError.malformed(.number, at: 22)) {
            try NodePacket(unsealed: bytes)
        }
    }
}

extension ByteBuffer {
    mutating func appendRecord(_ write: (inout ByteBuffer) -> Void) {
        let start = self.openRecord()
        write(&self)
        self.closeRecord(from: start)
    }

    /// The fields of an item with an answer that the test writes.
    mutating func appendAnswer(_ write: (inout ByteBuffer) -> Void) {
        self.append(2)
        self.append(number: 7)
        self.appendRecord(write)
        self.append(slot: .max)
    }

    /// The fields of an item with an input that the test writes.
    mutating func appendInput(_ write: (inout ByteBuffer) -> Void) {
        self.append(1)
        self.append(record: ConversationKey.lobby)
        self.appendRecord(write)
        self.append(contentsOf: [0, 0, 0, 0])
    }
}

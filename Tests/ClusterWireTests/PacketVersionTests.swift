import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Testing

@testable import ClusterWire

@Suite("A packet of another version")
struct PacketVersionTests {
    /// Checks that additional fields after the value's own are skipped.
    private func addsUnknownFields(_ value: some WireValue) throws {
        var plain = ByteBuffer()
        value.write(to: &plain)
        var buffer = ByteBuffer()
        buffer.appendRecord {
            value.write(to: &$0)
            $0.append(contentsOf: [UInt8](repeating: 0xFF, count: 200))
        }
        buffer.append(0x2A)
        let (again, next) = try buffer.bytes.withUnsafeBytes { bytes in
            var reader = WireReader(bytes, from: 0)
            return (try reader.record(type(of: value)), try reader.byte())
        }
        #expect(next == 0x2A, "\(type(of: value))")
        var written = ByteBuffer()
        again.write(to: &written)
        #expect(written == plain)
    }

    @Test("may have additional fields in any record")
    func fields() throws {
        for item in Samples.items { try self.addsUnknownFields(item) }
        for input in Samples.inputs { try self.addsUnknownFields(input) }
        for command in Samples.commands { try self.addsUnknownFields(command) }
        for answer in Samples.answers { try self.addsUnknownFields(answer) }
        for error in Samples.errors { try self.addsUnknownFields(error) }
        for event in Samples.events { try self.addsUnknownFields(event) }
        for message in [Message.plain, .edited, .deleted] { try self.addsUnknownFields(message) }
        for body in [MessageBody.plain, .rich, .bare, .plain.with(.full)] {
            try self.addsUnknownFields(body)
        }
        for person in [Person.alice, .agent, .anonymous] { try self.addsUnknownFields(person) }
        for change in Samples.changes { try self.addsUnknownFields(change) }
        for annotations in [MessageAnnotations.full, .reply, .past].compactMap({ $0 }) {
            try self.addsUnknownFields(annotations)
        }
        for write in Samples.retainedWrites { try self.addsUnknownFields(write.change) }
        try self.addsUnknownFields(ConversationKey.long)
        try self.addsUnknownFields(Samples.record)
        try self.addsUnknownFields(Member.alice)
        try self.addsUnknownFields(ConversationEnd(by: .alice, at: .sample))
        try self.addsUnknownFields(Principal(person: .agent, isAdmin: true))
        try self.addsUnknownFields(DeliveryReport(user: .alice, range: 1...2))
    }

    /// A record in three versions: the second adds a field, the third another one.
    private struct Growing: WireValue, Equatable {
        var version = 3
        var name: String
        var rank = 0
        var isLoud = false

        func write(to output: inout ByteBuffer) {
            output.append(string: self.name)
            if self.version > 1 { output.append(count: self.rank) }
            if self.version > 2 { output.append(flag: self.isLoud) }
        }

        static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
            var value = Self(name: try input.string())
            if !input.isAtEnd { value.rank = try input.count() }
            if !input.isAtEnd { value.isLoud = try input.flag() }
            return value
        }
    }

    @Test("of an earlier version lacks fields, which get defaults")
    func missingFields() throws {
        for (version, expected) in [
            (1, Growing(name: "ann")), (2, Growing(name: "ann", rank: 300)),
            (3, Growing(name: "ann", rank: 300, isLoud: true)),
        ] {
            var buffer = ByteBuffer()
            buffer.append(
                record: Growing(version: version, name: "ann", rank: 300, isLoud: true))
            buffer.append(record: Growing(name: "bob"))
            let values = try buffer.bytes.withUnsafeBytes { bytes in
                var reader = WireReader(bytes, from: 0)
                return (try reader.record(Growing.self), try reader.record(Growing.self))
            }
            #expect(values.0 == expected && values.1 == Growing(name: "bob"))
        }
    }

    @Test("may have additional fields in envelopes, and in repeated values")
    func envelopes() throws {
        func item(_ output: inout ByteBuffer, extra: UInt8) {
            output.appendRecord {
                $0.append(5)
                $0.appendRecord {
                    ConversationKey.lobby.write(to: &$0)
                    $0.append(contentsOf: [9, 9, extra])
                }
            }
        }
        let bytes = NodePacket.unsealed {
            $0.append(contentsOf: [1, 2, 3, 4, 3])
            item(&$0, extra: 1)
            item(&$0, extra: 1)
            item(&$0, extra: 2)
            $0.append(contentsOf: [0xFF, 0xFF])
        }
        let packet = try NodePacket(unsealed: bytes + bytes.dropFirst(NodePacket.headerBytes))
        #expect(packet.envelopes.count == 2 && packet.unknownItemCount == 0)
        for envelope in packet.envelopes {
            #expect(
                envelope.from.loop == 1 && envelope.to.loop == 2 && envelope.number == 3
                    && envelope.view == 4)
            #expect(
                envelope.items.map(dumpText)
                    == [Envelope.Item](repeating: .reattach(.lobby), count: 3).map(dumpText))
        }
    }

    struct UnknownKind: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let item: @Sendable (inout ByteBuffer) -> Void
    }

    private static let unknownKinds: [UnknownKind] = [
        UnknownKind(testDescription: "item") { $0.append(contentsOf: [77, 1, 2, 3]) },
        UnknownKind(testDescription: "input") {
            $0.appendInput { $0.append(contentsOf: [77, 1, 2, 3]) }
        },
        UnknownKind(testDescription: "command") {
            $0.appendInput {
                $0.append(1)
                $0.appendRecord { $0.append(contentsOf: [77, 0xFF, 0xFF]) }
            }
        },
        UnknownKind(testDescription: "answer") { $0.appendAnswer { $0.append(77) } },
        UnknownKind(testDescription: "error") {
            $0.appendAnswer {
                $0.append(7)
                $0.appendRecord { $0.append(77) }
            }
        },
        UnknownKind(testDescription: "event") {
            $0.append(4)
            $0.append(record: ConversationKey.lobby)
            $0.appendRecord { $0.append(contentsOf: [77, 1]) }
        },
        UnknownKind(testDescription: "state of a message") {
            $0.appendAnswer {
                $0.append(2)
                $0.appendRecord { $0.append(contentsOf: [1, 1, 0, 77]) }
            }
        },
        UnknownKind(testDescription: "held change") {
            $0.appendInput {
                $0.append(6)
                $0.append(2)
                $0.append(record: Samples.retainedWrites[1])
                $0.appendRecord {
                    $0.append(1)
                    $0.appendRecord { $0.append(77) }
                }
            }
        },
        UnknownKind(testDescription: "access") {
            $0.appendInput {
                $0.append(1)
                $0.appendRecord {
                    $0.append(1)
                    $0.appendRecord {
                        $0.append(record: Principal(person: .alice, isAdmin: false))
                        $0.append(flag: false)
                        $0.appendRecord {
                            $0.append(string: "rooms")
                            $0.append(77)
                        }
                    }
                }
            }
        },
        UnknownKind(testDescription: "third truth") {
            $0.appendInput {
                $0.append(1)
                $0.appendRecord { $0.append(contentsOf: [6, 2]) }
            }
        },
    ]

    @Test(
        "may have any unknown kind: the items next to it are delivered",
        arguments: Self.unknownKinds)
    func kinds(_ unknownKind: UnknownKind) throws {
        let bytes = NodePacket.unsealed {
            $0.append(contentsOf: [0, 0, 1, 1, 3])
            $0.append(record: Samples.items[1])
            $0.appendRecord(unknownKind.item)
            $0.append(record: Envelope.Item.reattach(.lobby))
        }
        let packet = try NodePacket(unsealed: bytes + bytes.dropFirst(NodePacket.headerBytes))
        #expect(packet.unknownItemCount == 2)
        for envelope in packet.envelopes {
            #expect(
                envelope.items.map(dumpText) == [Samples.items[1], .reattach(.lobby)].map(dumpText))
        }
    }

    @Test(
        "may have an envelope with unknown items only, which is not a tick",
        arguments: Self.unknownKinds)
    func onlyUnknownItems(_ unknownKind: UnknownKind) throws {
        let bytes = NodePacket.unsealed {
            $0.append(contentsOf: [0, 0, 1, 1, 1])
            $0.appendRecord(unknownKind.item)
        }
        let packet = try NodePacket(unsealed: bytes)
        #expect(packet.unknownItemCount == 1)
        // The receiver counts the envelope and does nothing.
        #expect(packet.envelopes[0].items.map(dumpText) == [dumpText(Envelope.Item.notOwner(0))])
    }
}

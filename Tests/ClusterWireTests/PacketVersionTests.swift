import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Testing

@testable import ClusterWire

@Suite("A packet of a later version")
struct PacketVersionTests {
    /// Checks that additional fields after the value's own are skipped.
    ///
    /// - Parameter leftOut: the fields that this version leaves out, as a later one writes them in
    ///   front of its own.
    private func addsUnknownFields(_ value: some WireValue, after leftOut: [UInt8] = []) throws {
        var plain = ByteBuffer()
        value.write(to: &plain)
        var buffer = ByteBuffer()
        buffer.appendRecord {
            value.write(to: &$0)
            $0.append(contentsOf: leftOut)
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
        for command in Samples.featureCommands { try self.addsUnknownFields(command) }
        for error in Samples.errors + Samples.featureErrors { try self.addsUnknownFields(error) }
        for event in Samples.events { try self.addsUnknownFields(event) }
        for message in [Message.plain, .edited, .deleted] { try self.addsUnknownFields(message) }
        // No annotations.
        for body in [MessageBody.plain, .rich, .bare] {
            try self.addsUnknownFields(body, after: [0])
        }
        try self.addsUnknownFields(MessageBody.plain.with(.full))
        for person in [Person.alice, .agent, .anonymous] { try self.addsUnknownFields(person) }
        for change in Samples.changes { try self.addsUnknownFields(change) }
        for annotations in [MessageAnnotations.full, .reply, .past].compactMap({ $0 }) {
            try self.addsUnknownFields(annotations)
        }
        for write in Samples.retainedWrites { try self.addsUnknownFields(write.change) }
        try self.addsUnknownFields(ConversationKey.long)
        // The usual pin policy.
        try self.addsUnknownFields(Samples.record, after: [0])
        // The user's own name.
        try self.addsUnknownFields(Member.alice, after: [0])
        try self.addsUnknownFields(ConversationEnd(by: .alice, at: .sample))
        try self.addsUnknownFields(Principal(person: .agent, isAdmin: true))
        try self.addsUnknownFields(DeliveryReport(user: .alice, range: 1...2))
    }

    /// Reads a value without its last fields, as an earlier version writes it.
    private func read<Value: WireValue>(_ value: Value, withoutLast count: Int) throws -> Value {
        var whole = ByteBuffer()
        value.write(to: &whole)
        var buffer = ByteBuffer()
        buffer.appendRecord { $0.append(contentsOf: whole.bytes.dropLast(count)) }
        return try buffer.bytes.withUnsafeBytes { bytes in
            var reader = WireReader(bytes, from: 0)
            return try reader.record(Value.self)
        }
    }

    @Test(
        "of an earlier version lacks a conversation's origin, or also its kind, which get defaults"
    )
    func earlierRecord() throws {
        // Kind, empty details, origin and listing.
        let plainCount = 1 + 1 + 1 + "conversations".utf8.count + 1
        #expect(try self.read(Samples.record, withoutLast: plainCount) == Samples.record)
        for kind in LegacyKind.allCases {
            var record = ConversationRecord(kind.template, creator: .alice, createdAt: .sample)
            record.joinPolicy = .open
            let count = 1 + kind.template.origin.byteCount + 1
            #expect(try self.read(record, withoutLast: count) == record)
        }
    }

    @Test("is read by an earlier version: the kind stands for an origin that it knows")
    func laterRecord() throws {
        let record = ConversationRecord(.sixth, creator: .alice, createdAt: .sample)
        let count = 1 + ConversationTemplate.sixth.origin.byteCount + 1
        let read = try self.read(record, withoutLast: count)
        #expect(read.origin == "conversations" && read.joinPolicy == .open && !read.isListed)
    }

    @Test("of an earlier version has requests with a kind in place of a template")
    func earlierRequests() throws {
        let alice = Principal(person: .alice, isAdmin: false)
        for kind in LegacyKind.allCases {
            let template = kind.template
            let count = 1 + template.origin.byteCount + 2
            let join = JoinRequest(
                principal: alice, isListedInToken: true, template: template, marksHistoryRead: true)
            let readJoin = try self.read(join, withoutLast: count)
            #expect(readJoin.template == template && readJoin.marksHistoryRead)
            let creation = NewConversation(template, creator: alice, members: [.alice])
            #expect(try self.read(creation, withoutLast: count).template == template)
        }
    }

    @Test("of an earlier version does not say that a send was repeated, nor the last message")
    func earlierAnswers() throws {
        // Without the flag, and without the empty record of a missing message.
        guard
            case .posted(let message, isRepeat: false) = try self.read(
                ChatAnswer.posted(.plain, isRepeat: true), withoutLast: 1)
        else { return #expect(Bool(false), "another answer") }
        #expect(message.sequence == Message.plain.sequence)
        let details = ConversationDetails(
            record: Samples.record, head: 12, members: [.alice], online: [.alice],
            participantCount: 7, viewer: nil, readers: [])
        let read = try self.read(details, withoutLast: 4)
        #expect(read.lastMessage == nil && read.head == 12 && read.online == [.alice])
    }

    @Test("of an earlier version has all members, and requests for all members")
    func earlierDetails() throws {
        // Without the count, the membership and the list of readers, of one byte each.
        let details = ConversationDetails(
            record: Samples.record, head: 12, members: [.alice, .bob], online: [],
            participantCount: 7, viewer: nil, readers: [])
        let read = try self.read(details, withoutLast: 3)
        #expect(read.participantCount == 2 && read.readers.count == 2)
        #expect(read.membership(lookingLike: Member.bob.user)?.user == Member.bob.user)
        // Without a record of one byte for the kind and one for the limit.
        let request = ChatCommand.describe(
            by: Principal(person: .alice, isAdmin: false), members: .none)
        guard case .describe(_, _, .shown(limit: .max)) = try self.read(request, withoutLast: 3)
        else { return #expect(Bool(false), "another selection") }
    }

    @Test("of an earlier version does not say when a message was accepted")
    func earlierMessage() throws {
        #expect(try self.read(Message.plain, withoutLast: 1).acceptedAt == 0)
        let input = Envelope.Input(
            conversation: .lobby, input: .command(.post(.plain)), request: 5,
            sendOrder: SendOrder(number: 2, after: 1), acceptedAt: 9)
        let read = try self.read(input, withoutLast: 1)
        #expect(read.acceptedAt == 0 && read.sendOrder.number == 2)
    }

    @Test("of an earlier version has no annotations, and those of a later one are skipped by it")
    func earlierBody() throws {
        var (plain, annotated) = (ByteBuffer(), ByteBuffer())
        MessageBody.rich.write(to: &plain)
        MessageBody.rich.with(.full).write(to: &annotated)
        #expect(annotated.bytes.starts(with: plain.bytes))
        let count = annotated.count - plain.count
        let read = try self.read(MessageBody.rich.with(.full), withoutLast: count)
        #expect(read.annotations == nil && read.metadata == MessageBody.rich.metadata)
    }

    @Test("of an earlier version has amendments whose message tells what they are")
    func earlierAmendment() throws {
        // The kind of the amendment, and whether it counts as activity.
        for (change, expected) in [
            (
                Write.Change.amend(.edited, .edited(content: ""), at: .sample),
                Amendment.edited(content: Message.edited.body.content)
            ), (.amend(.deleted, .deleted, at: .sample), .deleted),
        ] {
            guard case .amend(_, let amendment, let time) = try self.read(change, withoutLast: 2)
            else { return #expect(Bool(false), "another change") }
            #expect(amendment == expected && time == .sample)
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
                        $0.append(contentsOf: [0, 77])
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

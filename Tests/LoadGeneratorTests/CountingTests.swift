import Bytes
import Testing

@testable import LoadGenerator

@Suite("A message's mark")
struct MessageStampTests {
    private func text(_ mark: MessageStamp, _ byteCount: Int = 128) -> [UInt8] {
        var buffer = ByteBuffer()
        mark.append(to: &buffer, filledTo: byteCount)
        return buffer.bytes
    }

    private static let stamps = [
        MessageStamp(group: 0, publisher: 0, number: 0, sentAt: 0),
        MessageStamp(group: 1, publisher: 2, number: 3, sentAt: 4),
        MessageStamp(group: 0xFF_FFFF, publisher: 0xFF_FFFF, number: .max, sentAt: 1 << 54 - 1),
        MessageStamp(group: 63, publisher: 64, number: 65, sentAt: 4095),
    ]

    @Test("is read as it was written, wherever it stands", arguments: Self.stamps, [0, 1, 7, 60])
    func roundTrip(stamp mark: MessageStamp, offset place: Int) {
        var reader = MessageStampReader()
        let frame =
            Array(repeating: UInt8(ascii: "L"), count: place) + self.text(mark) + Array("\"}".utf8)
        #expect(frame.withUnsafeBytes { reader.read($0) } == mark)
        // The second time it is found where it was found before.
        #expect(frame.withUnsafeBytes { reader.read($0) } == mark)
    }

    @Test(
        "fills its message to the bytes asked for, with letters that JSON leaves alone",
        arguments: [28, 29, 128, 4096])
    func size(byteCount: Int) {
        let text = self.text(Self.stamps[2], byteCount)
        #expect(text.count == byteCount)
        #expect(
            text.allSatisfy {
                $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
            })
    }

    @Test("is not there when a single byte of it is missing")
    func cutOff() {
        let text = self.text(Self.stamps[1], MessageStamp.byteCount)
        for count in 0..<text.count {
            var reader = MessageStampReader()
            #expect(text[..<count].withUnsafeBytes { reader.read($0) } == nil)
        }
    }

    @Test("is found where it has moved to since the last frame")
    func moving() {
        var reader = MessageStampReader()
        for place in [60, 61, 5, 0, 130, 61] {
            let frame =
                Array(repeating: UInt8(ascii: "-"), count: place) + self.text(Self.stamps[3])
            #expect(frame.withUnsafeBytes { reader.read($0) } == Self.stamps[3])
        }
    }

    @Test(
        "is searched for as plain text",
        arguments: ["", "L", "LOADLOAD:", "xxLOAD:", "LLOAD:", "LOAD:LOAD:", "LOADx:", "LOAD"])
    func search(text: String) {
        let bytes = Array(text.utf8)
        let expected = (0..<max(0, bytes.count - 4)).first {
            Array(bytes[$0..<$0 + 5]) == Array("LOAD:".utf8)
        }
        #expect(bytes.withUnsafeBytes { $0.firstOffset("LOAD:") } == expected)
    }
}

@Suite("The ledger")
struct DeliveryRecorderTests {
    private let plan: LoadPlan

    init() throws {
        var options = BenchmarkOptions(.groups, urls: ["ws://127.0.0.1:1"])
        (options.connections, options.groups, options.publishers) = (6, 2, 2)
        self.plan = try LoadPlan(options, name: "test")
    }

    private func stamp(_ group: UInt32, _ publisher: UInt32, _ number: UInt32) -> MessageStamp {
        MessageStamp(group: group, publisher: publisher, number: number, sentAt: 0)
    }

    @Test("expects each message once at every member of its conversation")
    func expectation() {
        var ledger = DeliveryRecorder(self.plan)
        #expect(ledger.publish(by: 0, in: 0) == 0)
        #expect(ledger.publish(by: 0, in: 0) == 1)
        #expect(ledger.publish(by: 1, in: 0) == 0)
        #expect(ledger.publish(by: 0, in: 1) == 0)
        #expect(ledger.published == 4)
        #expect(ledger.expected == 12)
        #expect(ledger.lost == 12)
    }

    @Test("finds nothing wrong when all hear all in one order")
    func whole() {
        var ledger = DeliveryRecorder(self.plan)
        for _ in 0..<3 { _ = ledger.publish(by: 0, in: 1) }
        _ = ledger.publish(by: 1, in: 1)
        for member in 3..<6 {
            for mark in [
                self.stamp(1, 0, 0), self.stamp(1, 1, 0), self.stamp(1, 0, 1), self.stamp(1, 0, 2),
            ] {
                #expect(ledger.receive(mark, by: member) == .counted)
            }
        }
        #expect(ledger.lost == 0)
        #expect(ledger.repeated == 0)
        #expect(ledger.late == 0)
        #expect(ledger.membersOutOfOrder(self.plan) == 0)
    }

    @Test("counts what was left out, what came twice, and what was meant for others")
    func faults() {
        var ledger = DeliveryRecorder(self.plan)
        for _ in 0..<3 { _ = ledger.publish(by: 0, in: 0) }
        #expect(ledger.receive(self.stamp(0, 0, 0), by: 0) == .counted)
        #expect(ledger.receive(self.stamp(0, 0, 0), by: 0) == .repeated)
        #expect(ledger.receive(self.stamp(0, 0, 2), by: 0) == .counted)
        #expect(ledger.lost == 7)
        #expect(ledger.receive(self.stamp(0, 0, 1), by: 0) == .late)
        #expect(ledger.receive(self.stamp(0, 0, 1), by: 0) == .repeated)
        #expect(ledger.receive(self.stamp(1, 0, 0), by: 0) == .foreign)
        #expect(ledger.receive(self.stamp(0, 2, 0), by: 0) == .foreign)
        #expect(ledger.received == 3)
        #expect(ledger.late == 1)
        #expect(ledger.repeated == 2)
        #expect(ledger.foreign == 2)
        #expect(ledger.lost == 6)
    }

    @Test("sees that two members heard two senders in different orders")
    func disorder() {
        var ledger = DeliveryRecorder(self.plan)
        _ = ledger.publish(by: 0, in: 0)
        _ = ledger.publish(by: 1, in: 0)
        for (member, senders) in [(0, [0, 1]), (1, [1, 0]), (2, [0, 1])] {
            for sender in senders {
                #expect(ledger.receive(self.stamp(0, UInt32(sender), 0), by: member) == .counted)
            }
        }
        #expect(ledger.lost == 0)
        #expect(ledger.membersOutOfOrder(self.plan) == 1)
    }
}

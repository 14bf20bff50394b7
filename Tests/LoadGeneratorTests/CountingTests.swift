import Bytes
import Configuration
import Dialects
import Testing

@testable import LoadGenerator

@Suite("A message stamp")
struct MessageStampTests {
    private func text(_ stamp: MessageStamp, _ byteCount: Int = 128) -> [UInt8] {
        var buffer = ByteBuffer()
        stamp.append(to: &buffer, filledTo: byteCount)
        return buffer.bytes
    }

    private static let stamps = [
        MessageStamp(group: 0, publisher: 0, number: 0, sentAt: 0),
        MessageStamp(group: 1, publisher: 2, number: 3, sentAt: 4),
        MessageStamp(group: 0xFF_FFFF, publisher: 0xFF_FFFF, number: .max, sentAt: 1 << 54 - 1),
        MessageStamp(group: 63, publisher: 64, number: 65, sentAt: 4095),
    ]

    @Test("is read as it was written, at any offset", arguments: Self.stamps, [0, 1, 7, 60])
    func roundTrip(stamp: MessageStamp, offset place: Int) {
        var reader = MessageStampReader()
        let frame =
            Array(repeating: UInt8(ascii: "L"), count: place) + self.text(stamp) + Array("\"}".utf8)
        #expect(frame.withUnsafeBytes { reader.read($0) } == stamp)
        // The second time it is found at the remembered offset.
        #expect(frame.withUnsafeBytes { reader.read($0) } == stamp)
    }

    @Test(
        "pads its message to the requested size, with characters that JSON does not escape",
        arguments: [28, 29, 128, 4096])
    func size(byteCount: Int) {
        let text = self.text(Self.stamps[2], byteCount)
        #expect(text.count == byteCount)
        #expect(
            text.allSatisfy {
                $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
            })
    }

    @Test("is not found when a single byte is missing")
    func cutOff() {
        let text = self.text(Self.stamps[1], MessageStamp.byteCount)
        for count in 0..<text.count {
            var reader = MessageStampReader()
            #expect(text[..<count].withUnsafeBytes { reader.read($0) } == nil)
        }
    }

    @Test("is found at a new offset")
    func moving() {
        var reader = MessageStampReader()
        for place in [60, 61, 5, 0, 130, 61] {
            let frame =
                Array(repeating: UInt8(ascii: "-"), count: place) + self.text(Self.stamps[3])
            #expect(frame.withUnsafeBytes { reader.read($0) } == Self.stamps[3])
        }
    }

    @Test(
        "is found by a plain text search",
        arguments: ["", "L", "LOADLOAD:", "xxLOAD:", "LLOAD:", "LOAD:LOAD:", "LOADx:", "LOAD"])
    func search(text: String) {
        let bytes = Array(text.utf8)
        let expected = (0..<max(0, bytes.count - 4)).first {
            Array(bytes[$0..<$0 + 5]) == Array("LOAD:".utf8)
        }
        #expect(bytes.withUnsafeBytes { $0.firstOffset("LOAD:") } == expected)
    }
}

@Suite("The delivery recorder")
struct DeliveryRecorderTests {
    private let plan: LoadPlan

    init() throws {
        var options = BenchOptions(.groups, urls: ["ws://127.0.0.1:1"])
        (options.connections, options.groups, options.publishers) = (6, 2, 2)
        self.plan = try LoadPlan(options, name: "test", adapters: DialectList.all.loadAdapters)
    }

    private func stamp(_ group: UInt32, _ publisher: UInt32, _ number: UInt32) -> MessageStamp {
        MessageStamp(group: group, publisher: publisher, number: number, sentAt: 0)
    }

    @Test("expects one delivery per member of the conversation")
    func expectation() {
        var recorder = DeliveryRecorder(self.plan)
        #expect(recorder.publish(by: 0, in: 0) == 0)
        #expect(recorder.publish(by: 0, in: 0) == 1)
        #expect(recorder.publish(by: 1, in: 0) == 0)
        #expect(recorder.publish(by: 0, in: 1) == 0)
        #expect(recorder.published == 4)
        #expect(recorder.expected == 12)
        #expect(recorder.lost == 12)
    }

    @Test("finds no fault when all members receive everything in one order")
    func whole() {
        var recorder = DeliveryRecorder(self.plan)
        for _ in 0..<3 { _ = recorder.publish(by: 0, in: 1) }
        _ = recorder.publish(by: 1, in: 1)
        for member in 3..<6 {
            for stamp in [
                self.stamp(1, 0, 0), self.stamp(1, 1, 0), self.stamp(1, 0, 1), self.stamp(1, 0, 2),
            ] {
                #expect(recorder.receive(stamp, by: member) == .counted)
            }
        }
        #expect(recorder.lost == 0)
        #expect(recorder.repeated == 0)
        #expect(recorder.late == 0)
        #expect(recorder.membersOutOfOrder(self.plan) == 0)
    }

    @Test("counts lost, repeated and misdirected deliveries")
    func faults() {
        var recorder = DeliveryRecorder(self.plan)
        for _ in 0..<3 { _ = recorder.publish(by: 0, in: 0) }
        #expect(recorder.receive(self.stamp(0, 0, 0), by: 0) == .counted)
        #expect(recorder.receive(self.stamp(0, 0, 0), by: 0) == .repeated)
        #expect(recorder.receive(self.stamp(0, 0, 2), by: 0) == .counted)
        #expect(recorder.lost == 7)
        #expect(recorder.receive(self.stamp(0, 0, 1), by: 0) == .late)
        #expect(recorder.receive(self.stamp(0, 0, 1), by: 0) == .repeated)
        #expect(recorder.receive(self.stamp(1, 0, 0), by: 0) == .foreign)
        #expect(recorder.receive(self.stamp(0, 2, 0), by: 0) == .foreign)
        #expect(recorder.received == 3)
        #expect(recorder.late == 1)
        #expect(recorder.repeated == 2)
        #expect(recorder.foreign == 2)
        #expect(recorder.lost == 6)
    }

    @Test("detects two members that received two senders in different orders")
    func disorder() {
        var recorder = DeliveryRecorder(self.plan)
        _ = recorder.publish(by: 0, in: 0)
        _ = recorder.publish(by: 1, in: 0)
        for (member, senders) in [(0, [0, 1]), (1, [1, 0]), (2, [0, 1])] {
            for sender in senders {
                #expect(recorder.receive(self.stamp(0, UInt32(sender), 0), by: member) == .counted)
            }
        }
        #expect(recorder.lost == 0)
        #expect(recorder.membersOutOfOrder(self.plan) == 1)
    }
}

import AllocationCounter
import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Testing

@testable import ClusterWire

@Suite("A packet of messages")
struct PacketAllocationTests {
    private static func allocations(_ body: () throws -> Void) rethrows -> Int {
        // The first call allocates what is allocated once.
        try body()
        let before = allocation_counter_count()
        try body()
        return Int(allocation_counter_count() - before)
    }

    private static func events(_ count: Int) -> Envelope {
        .carrying(
            (0..<count).map { _ in
                .event(
                    Envelope.EventNotification(
                        conversation: .long, event: .posted(.edited), revision: 5, answering: 0,
                        feedSlot: 4))
            })
    }

    @Test(
        "is written without allocations, once its buffer is large enough",
        .enabled(if: allocation_counter_works(), "A sanitizer has its own allocator"))
    func writing() {
        var buffer = ByteBuffer(capacity: 1 << 16)
        let envelope = Self.events(10)
        let count = Self.allocations {
            buffer.removeAll()
            let writer = NodePacketWriter(
                from: LoopID.near.incarnation, to: LoopID.far.incarnation, in: &buffer)
            _ = writer.append(envelope, to: &buffer)
            writer.seal(with: .sample, in: &buffer)
        }
        // None; but without optimization, Swift boxes each item.
        #expect(count == 0 || count == envelope.items.count)
    }

    @Test(
        "is read with allocations for new content only; keys and people are created once",
        .enabled(if: allocation_counter_works(), "A sanitizer has its own allocator"))
    func reading() throws {
        let one = NodePacket.bytes([Self.events(1)])
        let many = NodePacket.bytes([Self.events(33)])
        let first = try Self.allocations { _ = try NodePacket.read(one) }
        let all = try Self.allocations { _ = try NodePacket.read(many) }
        // The body, its content, and its metadata.
        #expect((all - first) / 32 == 3, "\(first) and \(all)")
    }
}

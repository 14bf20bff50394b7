import AllocationCounter
import Bytes
import ChatCore
import ChatEngine
import ChatModel
import ClusterWire
import Glibc

/// The cost of writing and reading a packet of messages for another node.
enum WireCost {
    private static let key = ClusterKey(secret: [UInt8](repeating: 7, count: 32))!
    private static let from = LoopID(incarnation: 0x0123_4567_89AB_CDEF, loop: 0)
    private static let to = LoopID(incarnation: 0xFEDC_BA98_7654_3210, loop: 1)

    private static func envelope(messages: Int) -> Envelope {
        let conversation = ConversationKey(
            tenant: "default", id: "c0000000-0000-4000-8000-000000000001")
        let items = (0..<messages).map { number in
            let digits = String(100 + number)
            let author = Person(
                id: UserID(tokenSubject: ByteString("a0000000-0000-4000-8000-000000000\(digits)")),
                name: ByteString("user \(digits)"))
            let body = MessageBody(
                author: author,
                clientMessageID: ClientMessageID(mintedFrom: 7, count: UInt64(number)),
                content: String(repeating: "x", count: 200))
            let message = Message(
                sequence: 1000 + number, revision: 2000 + number,
                sentAt: Timestamp(milliseconds: 1_700_000_000_000), body: body)
            return Envelope.Item.event(
                Envelope.EventNotification(
                    conversation: conversation, event: .posted(message), revision: 2000 + number,
                    answering: 0, feedSlot: 4711))
        }
        return Envelope(from: self.from, to: self.to, number: 123_456, view: 12, items: items)
    }

    struct Cost {
        let nanoseconds: Int
        let allocations: UInt
    }

    /// - Returns: the packet's size, and the costs of writing and reading: the minimum of ten
    ///   measurements.
    static func measure(messages: Int, rounds: Int) -> (bytes: Int, writing: Cost, reading: Cost) {
        let envelope = self.envelope(messages: messages)
        var buffer = ByteBuffer(capacity: 1 << 16)
        let writing = self.least(rounds) {
            buffer.removeAll()
            let writer = NodePacketWriter(
                from: self.from.incarnation, to: self.to.incarnation, in: &buffer)
            precondition(writer.append(envelope, to: &buffer), "the packet is full")
            writer.seal(with: self.key, in: &buffer)
        }
        var interning = KeyInterning()
        let reading = self.least(rounds) {
            let packet = try? NodePacket(
                buffer.bytes.span.bytes, for: self.to.incarnation, key: self.key,
                interning: &interning)
            precondition(
                packet?.envelopes.first?.items.count == messages,
                "the packet is not what was written")
        }
        return (buffer.count, writing, reading)
    }

    private static func least(_ rounds: Int, _ body: () -> Void) -> Cost {
        var least = Double.infinity
        for _ in 0..<10 {
            let start = Self.processorTime
            for _ in 0..<rounds { body() }
            least = min(least, (Self.processorTime - start) / Double(rounds))
        }
        let before = allocation_counter_count()
        body()
        return Cost(nanoseconds: Int(least), allocations: allocation_counter_count() - before)
    }

    private static var processorTime: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }
}

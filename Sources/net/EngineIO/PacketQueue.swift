internal import Bytes

/// Packets waiting for a poll, in order, and those of the last answer until they have arrived.
///
/// Dequeuing does not move the packets that follow, so the cost per packet does not depend on the
/// length of the queue.
struct PacketQueue: Sendable {
    private struct Entry: Sendable {
        let packet: SharedPacket
        /// Whether the next packet must travel in the same response.
        var isPairedWithNext = false
    }

    private var entries: [Entry] = []
    /// Entries before this index have been dequeued.
    private var firstIndex = 0
    /// Entries from this index up to `firstIndex` were dequeued, and perhaps have not arrived.
    private var unprovenIndex = 0
    /// The size of all waiting packets.
    private(set) var byteCount = 0

    var count: Int { self.entries.count - self.firstIndex }
    var isEmpty: Bool { self.firstIndex == self.entries.count }
    /// Whether dequeued packets have perhaps not arrived.
    var hasUnproven: Bool { self.unprovenIndex < self.firstIndex }

    /// Whether the last packet is still waiting and is not itself a companion. Only pairs are kept
    /// together, so every response has room for one pair.
    var canAppendCompanion: Bool {
        self.count == 1 || self.count > 1 && !self.entries[self.entries.count - 2].isPairedWithNext
    }

    mutating func append(_ packet: SharedPacket) {
        self.entries.append(Entry(packet: packet))
        self.byteCount += packet.count
    }

    /// Appends a packet that must travel in the same response as the last one.
    mutating func append(companion packet: SharedPacket) {
        self.entries[self.entries.count - 1].isPairedWithNext = true
        self.append(packet)
    }

    mutating func removeAll() {
        self.entries = []
        self.firstIndex = 0
        self.unprovenIndex = 0
        self.byteCount = 0
    }

    /// Moves the packets of one response from the front into `body`: at least one packet or pair,
    /// and as many as both limits allow. A pair is never split. They are kept until
    /// `removeUnproven` or `returnUnproven`.
    mutating func dequeue(packetLimit: Int, byteLimit: Int, into body: inout ByteBuffer) {
        let start = body.count
        var packetCount = 0
        while !self.isEmpty {
            let groupCount = self.entries[self.firstIndex].isPairedWithNext ? 2 : 1
            let group = self.entries[self.firstIndex..<self.firstIndex + groupCount]
            let byteCount = group.reduce(groupCount) { $0 + $1.packet.count }
            if packetCount > 0,
                packetCount + groupCount > packetLimit || body.count - start + byteCount > byteLimit
            {
                break
            }
            for entry in group {
                if packetCount > 0 { body.append(EnginePayload.separator) }
                entry.packet.withBytes { body.append(contentsOf: $0) }
                packetCount += 1
                self.byteCount -= entry.packet.count
            }
            self.firstIndex += groupCount
        }
    }

    /// Removes the dequeued packets: they have arrived.
    mutating func removeUnproven() {
        self.unprovenIndex = self.firstIndex
        self.compact()
    }

    /// Puts the dequeued packets back to the front: they have not arrived.
    mutating func returnUnproven() {
        for entry in self.entries[self.unprovenIndex..<self.firstIndex] {
            self.byteCount += entry.packet.count
        }
        self.firstIndex = self.unprovenIndex
    }

    /// Passes every packet to `body`, in order, and empties the queue.
    mutating func drain(_ body: (SharedPacket) -> Void) {
        for entry in self.entries[self.firstIndex...] { body(entry.packet) }
        self.removeAll()
    }

    // Entries are moved only when more than half of them are dequeued, so each is moved once on
    // average. An empty queue frees its memory, because most sessions have nothing to send.
    private mutating func compact() {
        if self.isEmpty {
            self.removeAll()
        } else if self.firstIndex > self.count {
            self.entries.removeFirst(self.firstIndex)
            self.firstIndex = 0
            self.unprovenIndex = 0
        }
    }
}

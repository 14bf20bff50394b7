internal import Bytes

/// Packets that wait for a poll, in order.
///
/// Taken from the front without moving what is behind it, so that a long queue costs no more for each packet than a short one.
struct EngineOutbox: Sendable {
    private struct Entry: Sendable {
        let packet: SharedFrame
        /// Whether the next one must travel in the same answer.
        var isPairedWithNext = false
    }

    private var entries: [Entry] = []
    /// What stands before this place has been taken.
    private var firstIndex = 0
    /// Of all packets that wait.
    private(set) var byteCount = 0

    var count: Int { self.entries.count - self.firstIndex }
    var isEmpty: Bool { self.firstIndex == self.entries.count }

    /// Whether the last packet still waits and belongs to none before it: only pairs are kept together, so that every answer has room for one.
    var canAppendCompanion: Bool {
        self.count == 1 || self.count > 1 && !self.entries[self.entries.count - 2].isPairedWithNext
    }

    mutating func append(_ packet: SharedFrame) {
        self.entries.append(Entry(packet: packet))
        self.byteCount += packet.count
    }

    /// Appends what must travel in the same answer as the last packet.
    mutating func append(companion packet: SharedFrame) {
        self.entries[self.entries.count - 1].isPairedWithNext = true
        self.append(packet)
    }

    mutating func removeAll() {
        self.entries = []
        self.firstIndex = 0
        self.byteCount = 0
    }

    /// Moves one answer's worth from the front into `body`: at least one packet or pair, as many as the two limits allow, and never
    /// one of a pair.
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
        self.compact()
    }

    /// Hands over every packet, in order, and is empty then.
    mutating func drain(_ take: (SharedFrame) -> Void) {
        for entry in self.entries[self.firstIndex...] { take(entry.packet) }
        self.removeAll()
    }

    // Half of the list at least is dead when it is moved, so each packet is moved once on average. An empty one gives its room back:
    // most sessions wait with nothing to say.
    private mutating func compact() {
        if self.isEmpty {
            self.removeAll()
        } else if self.firstIndex > self.count {
            self.entries.removeFirst(self.firstIndex)
            self.firstIndex = 0
        }
    }
}

import Bytes

/// What a connection's socket has not taken yet.
struct Backlog {
    private struct Entry {
        let frame: SharedFrame
        /// Asked for by the client, so its slowness harms nobody: it does not count against the limit.
        let isPaced: Bool
    }

    private var entries: [Entry] = []
    private var first = 0
    /// Bytes of the first entry that are sent.
    private var offset = 0
    private(set) var countedBytes = 0
    private(set) var totalBytes = 0

    var isEmpty: Bool { self.first == self.entries.count }

    /// - Parameter offset: bytes that are sent already; only for the first entry of an empty backlog.
    mutating func append(_ frame: SharedFrame, isPaced: Bool = false, from offset: Int = 0) {
        if self.isEmpty { self.offset = offset }
        self.entries.append(Entry(frame: frame, isPaced: isPaced))
        self.totalBytes += frame.count - offset
        if !isPaced { self.countedBytes += frame.count - offset }
    }

    /// The oldest frames' unsent bytes, at most so many frames, for as long as `body` runs.
    func withFrames<R>(atMost count: Int, _ body: ([UnsafeRawBufferPointer]) -> R) -> R {
        func collect(_ place: Int, _ parts: [UnsafeRawBufferPointer]) -> R {
            guard place < self.entries.count, parts.count < count else { return body(parts) }
            return self.entries[place].frame.withBytes { bytes in
                collect(place + 1, parts + [place == self.first ? UnsafeRawBufferPointer(rebasing: bytes[self.offset...]) : bytes])
            }
        }
        return collect(self.first, [])
    }

    /// So many bytes are sent.
    mutating func remove(_ count: Int) {
        var left = count
        self.totalBytes -= count
        while left > 0 {
            let entry = self.entries[self.first]
            let rest = entry.frame.count - self.offset
            let sent = min(rest, left)
            if !entry.isPaced { self.countedBytes -= sent }
            left -= sent
            if sent == rest {
                self.first += 1
                self.offset = 0
            } else {
                self.offset += sent
            }
        }
        if self.isEmpty {
            self.entries = []
            self.first = 0
        } else if self.first >= 64 {
            self.entries.removeFirst(self.first)
            self.first = 0
        }
    }

    /// Everything but what is half sent: a frame that has begun must end.
    mutating func truncate() {
        guard !self.isEmpty else { return }
        let kept = self.offset > 0 ? [self.entries[self.first]] : []
        self.entries = kept
        self.first = 0
        self.totalBytes = kept.reduce(0) { $0 + $1.frame.count } - self.offset
        self.countedBytes = kept.reduce(0) { $0 + ($1.isPaced ? 0 : $1.frame.count - self.offset) }
        if kept.isEmpty { self.offset = 0 }
    }
}

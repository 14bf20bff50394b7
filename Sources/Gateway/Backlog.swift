import Bytes

/// What a connection's socket has not taken yet.
struct Backlog {
    private struct Entry {
        let frame: SharedFrame
        /// Asked for by the client, so its slowness harms nobody: it does not count against the limit.
        let isPaced: Bool
    }

    private var entries: [Entry] = []
    private var head = 0
    /// Bytes of the first entry that are sent.
    private var offset = 0
    private(set) var countedBytes = 0
    private(set) var totalBytes = 0

    var isEmpty: Bool { self.head == self.entries.count }
    var frameCount: Int { self.entries.count - self.head }

    /// - Parameter offset: bytes that are sent already; only for the first frame of an empty backlog.
    mutating func append(_ frame: SharedFrame, isPaced: Bool = false, from offset: Int = 0) {
        if self.isEmpty { self.offset = offset }
        self.entries.append(Entry(frame: frame, isPaced: isPaced))
        self.totalBytes += frame.count - offset
        if !isPaced { self.countedBytes += frame.count - offset }
    }

    /// Behind everything that is here, what is unsent of another, of which nothing is sent yet.
    mutating func append(contentsOf other: Backlog) {
        if self.isEmpty { self.offset = other.offset }
        self.entries += other.entries[other.head...]
        self.totalBytes += other.totalBytes
        self.countedBytes += other.countedBytes
    }

    /// The oldest frame, and how many of its bytes are sent.
    var first: (frame: SharedFrame, offset: Int)? {
        self.isEmpty ? nil : (self.entries[self.head].frame, self.offset)
    }

    /// Appends the oldest unsent bytes to `buffer`, about this many: where they end, a frame may go on.
    func gather(upTo byteCount: Int, into buffer: inout ByteBuffer) {
        var left = byteCount
        for place in self.head..<self.entries.count {
            guard left > 0 else { return }
            self.entries[place].frame.withBytes { bytes in
                let start = place == self.head ? self.offset : 0
                let end = start + min(left, bytes.count - start)
                buffer.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                left -= end - start
            }
        }
    }

    /// So many bytes are sent.
    mutating func remove(_ count: Int) {
        var left = count
        self.totalBytes -= count
        while left > 0 {
            let entry = self.entries[self.head]
            let rest = entry.frame.count - self.offset
            let sent = min(rest, left)
            if !entry.isPaced { self.countedBytes -= sent }
            left -= sent
            if sent == rest {
                self.head += 1
                self.offset = 0
            } else {
                self.offset += sent
            }
        }
        if self.isEmpty {
            self.entries = []
            self.head = 0
        } else if self.head >= 64 {
            self.entries.removeFirst(self.head)
            self.head = 0
        }
    }

    /// Drops everything but what is half sent: a frame that has begun must end.
    ///
    /// - Parameter hasOffered: the first frame was offered to OpenSSL, which may have a record of it under way.
    mutating func truncate(firstWasOffered hasOffered: Bool) {
        guard !self.isEmpty else { return }
        let first = self.entries[self.head]
        self.entries = []
        self.head = 0
        self.totalBytes = 0
        self.countedBytes = 0
        if self.offset > 0 || hasOffered {
            self.append(first.frame, isPaced: first.isPaced, from: self.offset)
        }
    }
}

import Bytes

/// The frames that a connection's socket has not accepted yet, in order.
struct Backlog {
    private struct Entry {
        let frame: SharedFrame
        /// The client requested this frame, so it does not count against the limit for slow
        /// readers.
        let isPaced: Bool
    }

    private var entries: [Entry] = []
    private var head = 0
    /// The bytes of the first entry that are already sent.
    private var offset = 0
    private(set) var countedBytes = 0
    private(set) var totalBytes = 0

    var isEmpty: Bool { self.head == self.entries.count }
    var frameCount: Int { self.entries.count - self.head }

    /// - Parameter offset: the bytes that are already sent. Only the first frame of an empty
    ///   backlog may have an offset.
    mutating func append(_ frame: SharedFrame, isPaced: Bool = false, from offset: Int = 0) {
        if self.isEmpty { self.offset = offset }
        self.entries.append(Entry(frame: frame, isPaced: isPaced))
        self.totalBytes += frame.count - offset
        if !isPaced { self.countedBytes += frame.count - offset }
    }

    /// Appends the unsent frames of another backlog, of which no byte is sent yet.
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

    /// Appends about this many of the oldest unsent bytes to `buffer`. They may end within a frame.
    func gather(upTo byteCount: Int, into buffer: inout ByteBuffer) {
        var remaining = byteCount
        for index in self.head..<self.entries.count {
            guard remaining > 0 else { return }
            self.entries[index].frame.withBytes { bytes in
                let start = index == self.head ? self.offset : 0
                let end = start + min(remaining, bytes.count - start)
                buffer.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                remaining -= end - start
            }
        }
    }

    /// Removes bytes that have been sent.
    mutating func remove(_ count: Int) {
        var remaining = count
        self.totalBytes -= count
        while remaining > 0 {
            let entry = self.entries[self.head]
            let unsent = entry.frame.count - self.offset
            let sent = min(unsent, remaining)
            if !entry.isPaced { self.countedBytes -= sent }
            remaining -= sent
            if sent == unsent {
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

    /// Drops every frame except one that is partly sent: a frame that has begun must be completed.
    ///
    /// - Parameter keepsFirst: whether the first frame must be sent in any case: it was passed to
    ///   OpenSSL, which may have encrypted part of it already, or it is the response to an upgrade.
    mutating func truncate(keepsFirst: Bool) {
        guard !self.isEmpty else { return }
        let first = self.entries[self.head]
        self.entries = []
        self.head = 0
        self.totalBytes = 0
        self.countedBytes = 0
        if self.offset > 0 || keepsFirst {
            self.append(first.frame, isPaced: first.isPaced, from: self.offset)
        }
    }
}

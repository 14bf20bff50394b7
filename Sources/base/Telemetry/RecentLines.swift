/// The newest lines of the log, for the support archive. A line is kept after it was written, even
/// if the reader of the log is slow.
struct RecentLines {
    /// The bounds of the memory: when one is reached, the oldest lines are forgotten.
    static let lineLimit = 500
    static let byteLimit = 512 << 10

    /// A ring: the oldest line is at `first` once the ring is full.
    private var lines: [[UInt8]] = []
    private var first = 0
    private var bytes = 0

    mutating func append(_ line: [UInt8]) {
        self.bytes += line.count
        if self.lines.count < Self.lineLimit {
            self.lines.append(line)
        } else {
            self.bytes -= self.lines[self.first].count
            self.lines[self.first] = line
            self.first = (self.first + 1) % Self.lineLimit
        }
        // An emptied entry stays in the ring until its place is reused.
        var oldest = self.first
        while self.bytes > Self.byteLimit {
            self.bytes -= self.lines[oldest].count
            self.lines[oldest] = []
            oldest = (oldest + 1) % self.lines.count
        }
    }

    /// Oldest first, without their line feeds.
    var texts: [String] {
        (self.lines[self.first...] + self.lines[..<self.first]).filter { !$0.isEmpty }.map {
            String(decoding: $0.dropLast(), as: UTF8.self)
        }
    }
}

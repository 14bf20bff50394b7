/// Cuts what comes in pieces into lines.
struct LineSplitter {
    private var partialLine: [UInt8] = []

    /// A line that is longer is cut there; no server takes it as one message.
    private static let byteLimit = 1 << 20

    /// The lines that have become whole.
    mutating func append(_ piece: ArraySlice<UInt8>) -> [String] {
        var lines: [String] = []
        for byte in piece {
            if byte == UInt8(ascii: "\n") {
                lines.append(self.finishLine())
            } else {
                self.partialLine.append(byte)
                if self.partialLine.count == Self.byteLimit { lines.append(self.finishLine()) }
            }
        }
        return lines
    }

    /// What stands behind the last line's end; nil when nothing does.
    mutating func finish() -> String? {
        self.partialLine.isEmpty ? nil : self.finishLine()
    }

    private mutating func finishLine() -> String {
        if self.partialLine.last == UInt8(ascii: "\r") { self.partialLine.removeLast() }
        let line = String(decoding: self.partialLine, as: UTF8.self)
        self.partialLine.removeAll(keepingCapacity: true)
        return line
    }
}

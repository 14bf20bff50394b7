/// Splits a byte stream into lines.
struct LineSplitter {
    private var partialLine: [UInt8] = []

    /// Longer lines are split here; no server accepts them as one message.
    private static let byteLimit = 1 << 20

    /// Returns the lines that are complete now.
    mutating func append(_ chunk: ArraySlice<UInt8>) -> [String] {
        var lines: [String] = []
        for byte in chunk {
            if byte == UInt8(ascii: "\n") {
                lines.append(self.finishLine())
            } else {
                self.partialLine.append(byte)
                if self.partialLine.count == Self.byteLimit { lines.append(self.finishLine()) }
            }
        }
        return lines
    }

    /// Returns the text after the last line end; nil when there is none.
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

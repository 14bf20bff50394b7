/// Cuts what comes in pieces into lines.
struct LineSplitter {
    private var rest: [UInt8] = []

    /// A line that is longer is cut there; no server takes it as one message.
    private static let byteLimit = 1 << 20

    /// The lines that have become whole.
    mutating func take(_ piece: ArraySlice<UInt8>) -> [String] {
        var lines: [String] = []
        for byte in piece {
            if byte == UInt8(ascii: "\n") {
                lines.append(self.takeRest())
            } else {
                self.rest.append(byte)
                if self.rest.count == Self.byteLimit { lines.append(self.takeRest()) }
            }
        }
        return lines
    }

    /// What stands behind the last line's end; nil when nothing does.
    mutating func finish() -> String? {
        self.rest.isEmpty ? nil : self.takeRest()
    }

    private mutating func takeRest() -> String {
        if self.rest.last == UInt8(ascii: "\r") { self.rest.removeLast() }
        let line = String(decoding: self.rest, as: UTF8.self)
        self.rest.removeAll(keepingCapacity: true)
        return line
    }
}

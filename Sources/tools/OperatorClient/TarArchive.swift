/// Writes a tar archive of small files in the ustar format (POSIX.1-2017, pax).
struct TarArchive {
    private static let blockBytes = 512
    /// The mode of the files: only their owner may read them.
    private static let mode = 0o600
    static let nameBytes = 100

    private var blocks: [UInt8] = []
    private let modifiedAt: Int

    /// - Parameter modifiedAt: the time of all files, in seconds since 1970.
    init(modifiedAt: Int) {
        self.modifiedAt = modifiedAt
    }

    /// - Parameter name: the path in the archive, at most `nameBytes` bytes of ASCII.
    mutating func add(_ name: String, _ content: [UInt8]) {
        precondition(
            name.utf8.count <= Self.nameBytes, "\(name) is too long for the name of a file")
        self.blocks += self.header(name, byteCount: content.count)
        self.blocks += content
        self.blocks += Self.padding(content.count)
    }

    /// The archive: two blocks of zeros end it.
    var bytes: [UInt8] { self.blocks + [UInt8](repeating: 0, count: 2 * Self.blockBytes) }

    private static func padding(_ count: Int) -> [UInt8] {
        [UInt8](repeating: 0, count: (Self.blockBytes - count % Self.blockBytes) % Self.blockBytes)
    }

    private func header(_ name: String, byteCount: Int) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: Self.blockBytes)
        func put(_ text: String, at offset: Int) {
            for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
        }
        put(name, at: 0)
        put(Self.octal(Self.mode, digits: 7), at: 100)
        put(Self.octal(0, digits: 7), at: 108)
        put(Self.octal(0, digits: 7), at: 116)
        put(Self.octal(byteCount, digits: 11), at: 124)
        put(Self.octal(self.modifiedAt, digits: 11), at: 136)
        // The checksum counts its own field as blanks.
        put("        ", at: 148)
        put("0", at: 156)
        put("ustar\u{0}00", at: 257)
        let sum = header.reduce(0) { $0 + Int($1) }
        put(Self.octal(sum, digits: 6) + "\u{0} ", at: 148)
        return header
    }

    private static func octal(_ number: Int, digits: Int) -> String {
        let text = String(number, radix: 8)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}

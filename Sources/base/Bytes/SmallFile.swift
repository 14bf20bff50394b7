internal import Glibc

/// Reads small files: secrets, keys, tokens, the configuration.
public enum SmallFile {
    public static let byteLimit = 1 << 20

    /// Why a file cannot be read.
    public enum ReadError: Error, Sendable, Equatable {
        /// The system's message.
        case system(String)
        /// The file has more than `byteLimit` bytes.
        case tooLong
    }

    /// Reads a whole file of up to `byteLimit` bytes.
    public static func read(_ path: String) throws(ReadError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .system(String(cString: strerror(errno))) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw .system(String(cString: strerror(errno)))
            }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= Self.byteLimit else { throw .tooLong }
        }
    }

    /// Reads a secret or a token. One newline at the end (LF or CR LF) is not part of it, because
    /// editors and `echo` add one, and other programs that use the file ignore it.
    public static func readSecret(_ path: String) throws(ReadError) -> [UInt8] {
        var secret = try self.read(path)
        if secret.last == UInt8(ascii: "\n") {
            secret.removeLast()
            if secret.last == UInt8(ascii: "\r") { secret.removeLast() }
        }
        return secret
    }
}

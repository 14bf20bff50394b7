internal import Bytes
internal import COpenSSL

/// The file with the HS256 secret: its bytes, without one newline at the end.
public struct SecretFile: Sendable, Equatable {
    public let path: String

    /// What RFC 7518 section 3.2 asks of an HS256 key.
    public static let secretByteMinimum = 32

    public init(path: String) {
        self.path = path
    }

    /// The secret. Throws when it cannot be read, is too short, or is no secret but a PEM key.
    public func read() throws(KeyError) -> [UInt8] {
        var secret = try SmallFile.read(self.path)
        // Editors and `echo` end a line; whoever signs elsewhere with the same file leaves that out.
        if secret.last == UInt8(ascii: "\n") {
            secret.removeLast()
            if secret.last == UInt8(ascii: "\r") { secret.removeLast() }
        }
        guard !secret.starts(with: "-----BEGIN ".utf8) else { throw .secretIsPEM(path: self.path) }
        guard secret.count >= Self.secretByteMinimum else {
            throw .secretTooShort(path: self.path, bytes: secret.count)
        }
        return secret
    }

    /// The secret; when there is no such file, one is made, of 32 random bytes in hexadecimal, for its owner only.
    public func readOrCreate() throws(KeyError) -> (secret: [UInt8], isNew: Bool) {
        guard FileFingerprint(path: self.path) == nil else { return (try self.read(), false) }
        var random = [UInt8](repeating: 0, count: 32)
        guard RAND_bytes(&random, Int32(random.count)) == 1 else {
            throw .file(path: self.path, reason: "there is no randomness to make a secret of")
        }
        let isNew = try SmallFile.create(self.path, Array((Hex.encode(random) + "\n").utf8))
        return (try self.read(), isNew)
    }
}

internal import Bytes
internal import COpenSSL

/// The file with the HS256 secret. One newline at the end is not part of the secret.
public struct SecretFile: Sendable, Equatable {
    public let path: String

    /// The minimum length of an HS256 key (RFC 7518 section 3.2).
    public static let secretByteMinimum = 32

    public init(path: String) {
        self.path = path
    }

    /// Reads the secret. Throws if the file cannot be read, if the secret is too short, or if the
    /// file contains a PEM key.
    public func read() throws(KeyError) -> [UInt8] {
        let secret = try KeyError.read(self.path, SmallFile.readSecret)
        guard !secret.starts(with: "-----BEGIN ".utf8) else { throw .secretIsPEM(path: self.path) }
        guard secret.count >= Self.secretByteMinimum else {
            throw .secretTooShort(path: self.path, bytes: secret.count)
        }
        return secret
    }

    /// Creates the file with this text, readable only by its owner, unless it exists.
    ///
    /// - Returns: whether it was created.
    public func create(_ text: String) throws(KeyError) -> Bool {
        guard FileFingerprint(path: self.path) == nil else { return false }
        return try NewSecretFile.create(self.path, Array(text.utf8))
    }

    /// Reads the secret. If the file does not exist, creates it with 32 random bytes in
    /// hexadecimal, readable only by its owner.
    public func readOrCreate() throws(KeyError) -> (secret: [UInt8], isNew: Bool) {
        guard FileFingerprint(path: self.path) == nil else { return (try self.read(), false) }
        var random = [UInt8](repeating: 0, count: 32)
        guard RAND_bytes(&random, Int32(random.count)) == 1 else {
            throw .file(
                path: self.path, reason: "the system returned no random bytes for a new secret")
        }
        let isNew = try NewSecretFile.create(self.path, Array((Hex.encode(random) + "\n").utf8))
        return (try self.read(), isNew)
    }
}

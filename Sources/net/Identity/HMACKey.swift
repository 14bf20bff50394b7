internal import COpenSSL

/// A key for HMAC-SHA-256 (RFC 2104), stored as the inner and outer hash states after the padded
/// key.
///
/// It is prepared once and copied for every token. OpenSSL's `HMAC` looks up the algorithm and
/// hashes the key on every call. That takes three times as long, and it allocates.
public struct HMACKey: Sendable {
    private let innerState: SHA256_CTX
    private let outerState: SHA256_CTX

    public static let signatureBytes = 32
    private static let blockBytes = 64

    /// Accepts a secret of any length, as the RFC requires.
    public init(_ secret: [UInt8]) {
        var key = secret
        if key.count > Self.blockBytes {
            var hash = Self.start()
            SHA256_Update(&hash, key, key.count)
            key = Self.finish(&hash)
        }
        key += [UInt8](repeating: 0, count: Self.blockBytes - key.count)
        self.innerState = Self.start(with: key.map { $0 ^ 0x36 })
        self.outerState = Self.start(with: key.map { $0 ^ 0x5C })
        key.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
    }

    /// Returns the signature of 32 bytes.
    public func sign(_ message: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.signatureBytes) { signature, count in
            self.sign(message, into: signature.baseAddress!)
            count = Self.signatureBytes
        }
    }

    /// Compares in constant time, so that the duration does not reveal how much of the signature is
    /// correct.
    func isValid(_ signature: [UInt8], of message: UnsafeRawBufferPointer) -> Bool {
        guard signature.count == Self.signatureBytes else { return false }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.signatureBytes) {
            right in
            self.sign(message, into: right.baseAddress!)
            return CRYPTO_memcmp(right.baseAddress!, signature, Self.signatureBytes) == 0
        }
    }

    /// Writes the signature to a buffer of at least 32 bytes.
    public func sign(_ message: UnsafeRawBufferPointer, into signature: UnsafeMutablePointer<UInt8>)
    {
        var inside = self.innerState
        SHA256_Update(&inside, message.baseAddress, message.count)
        SHA256_Final(signature, &inside)
        var outside = self.outerState
        SHA256_Update(&outside, signature, Self.signatureBytes)
        SHA256_Final(signature, &outside)
    }

    private static func start(with block: [UInt8] = []) -> SHA256_CTX {
        var hash = SHA256_CTX()
        SHA256_Init(&hash)
        SHA256_Update(&hash, block, block.count)
        return hash
    }

    private static func finish(_ hash: inout SHA256_CTX) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Self.signatureBytes)
        SHA256_Final(&digest, &hash)
        return digest
    }
}

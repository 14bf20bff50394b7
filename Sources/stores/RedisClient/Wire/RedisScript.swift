public import Bytes
internal import COpenSSL

/// A Lua script that runs in Redis, identified by the SHA-1 of its text.
public struct RedisScript: Sendable, Hashable {
    public let source: ByteString
    /// 40 hexadecimal digits, as EVALSHA requires.
    public let digest: ByteString

    public init(_ source: String) {
        self.source = ByteString(source)
        var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
        self.source.withBytes { _ = SHA1($0.baseAddress, $0.count, &digest) }
        self.digest = ByteString(Hex.encode(digest))
    }
}

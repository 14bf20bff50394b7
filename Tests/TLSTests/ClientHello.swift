/// The first message of a client (RFC 5246 section 7.4.1.2), with parameters that our own client
/// does not use.
struct ClientHello {
    /// 0x0302 is TLS 1.1, 0x0303 TLS 1.2.
    var version: UInt16 = 0x0303
    /// TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    var ciphers: [UInt16] = [0xC02B]
    var applicationProtocols: [String] = []

    var record: [UInt8] {
        // X25519 and P-256
        var extensions = Self.block(0x000A, Self.sized(Self.pair(0x001D) + Self.pair(0x0017)))
        extensions += Self.block(0x000B, [1, 0])  // uncompressed points
        // ECDSA and RSA with SHA-256
        extensions += Self.block(0x000D, Self.sized(Self.pair(0x0403) + Self.pair(0x0401)))
        if !self.applicationProtocols.isEmpty {
            let names = self.applicationProtocols.flatMap {
                [UInt8($0.utf8.count)] + Array($0.utf8)
            }
            extensions += Self.block(0x0010, Self.sized(names))
        }
        var body = Self.pair(self.version) + [UInt8](repeating: 7, count: 32) + [0]
        body +=
            Self.sized(self.ciphers.flatMap { Self.pair($0) }) + [1, 0] + Self.sized(extensions)
        let message = [1, 0] + Self.pair(UInt16(body.count)) + body
        return [22, 3, 1] + Self.sized(message)
    }

    private static func pair(_ number: UInt16) -> [UInt8] {
        [UInt8(number >> 8), UInt8(number & 0xFF)]
    }

    private static func sized(_ bytes: [UInt8]) -> [UInt8] {
        Self.pair(UInt16(bytes.count)) + bytes
    }

    private static func block(_ type: UInt16, _ bytes: [UInt8]) -> [UInt8] {
        Self.pair(type) + Self.sized(bytes)
    }
}

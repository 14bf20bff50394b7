internal import Bytes
internal import ChatModel
internal import Glibc

/// A cache of conversation keys that were read before, so that a repeated key is neither created
/// nor hashed again.
///
/// A key's index depends on its encoded bytes, and each index holds the key that was read last. The
/// memory is therefore bounded, and keys with the same index cost no more than without the cache.
public struct KeyInterning: Sendable {
    private var keys: [ConversationKey?] = []

    /// A power of two. An entry takes 40 bytes, plus its texts.
    private static let count = 4096

    public init() {}

    /// - Parameter bytes: the encoded fields of a key.
    func index(of bytes: UnsafeRawBufferPointer) -> Int {
        var hash = UInt64(bytes.count)
        var position = 0
        while position < bytes.count {
            let isWhole = position + 8 <= bytes.count
            let word =
                isWhole
                ? bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)
                : UInt64(bytes[position])
            hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 32
            position += isWhole ? 8 : 1
        }
        return Int(truncatingIfNeeded: hash) & (Self.count - 1)
    }

    /// The key at this index, if these bytes are its encoding.
    func key(at index: Int, in bytes: UnsafeRawBufferPointer) -> ConversationKey? {
        guard !self.keys.isEmpty, let key = self.keys[index] else { return nil }
        let (tenant, id) = (key.tenant.byteCount, key.id.byteCount)
        // Each text has its length before it, in one byte. Longer texts have two length bytes and
        // are not interned.
        guard tenant < 0x80, id < 0x80, bytes.count == 2 + tenant + id, bytes[0] == UInt8(tenant),
            bytes[1 + tenant] == UInt8(id),
            key.tenant.matches(bytes, at: 1), key.id.matches(bytes, at: 2 + tenant)
        else { return nil }
        return key
    }

    mutating func store(_ key: ConversationKey, at index: Int) {
        if self.keys.isEmpty { self.keys = [ConversationKey?](repeating: nil, count: Self.count) }
        self.keys[index] = key
    }
}

extension ByteString {
    /// - Parameter bytes: contain at least this text's length after `index`.
    fileprivate func matches(_ bytes: UnsafeRawBufferPointer, at index: Int) -> Bool {
        self.withBytes {
            $0.isEmpty || memcmp($0.baseAddress!, bytes.baseAddress! + index, $0.count) == 0
        }
    }
}

internal import Bytes
internal import ChatModel
internal import Glibc

/// Names of conversations that were read before: one that is spoken of again is neither made nor hashed again.
///
/// Each has its place by the bytes in which it travels, and whichever was read last is there. So there is a bound, and names that have the
/// same place cost no more than all names would without this.
public struct KeyInterning: Sendable {
    private var keys: [ConversationKey?] = []

    /// A power of two. What is kept takes 40 bytes, and what the texts take.
    private static let count = 4096

    public init() {}

    /// - Parameter bytes: the fields of a key, as they travel.
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

    /// The key that stands at this place, if it is the one that these bytes are.
    func key(at place: Int, in bytes: UnsafeRawBufferPointer) -> ConversationKey? {
        guard !self.keys.isEmpty, let key = self.keys[place] else { return nil }
        let (tenant, id) = (key.tenant.byteCount, key.id.byteCount)
        // Each text has its length before it, in one byte: longer ones, which have two, are not found here.
        guard tenant < 0x80, id < 0x80, bytes.count == 2 + tenant + id, bytes[0] == UInt8(tenant),
            bytes[1 + tenant] == UInt8(id),
            key.tenant.matches(bytes, at: 1), key.id.matches(bytes, at: 2 + tenant)
        else { return nil }
        return key
    }

    mutating func store(_ key: ConversationKey, at place: Int) {
        if self.keys.isEmpty { self.keys = [ConversationKey?](repeating: nil, count: Self.count) }
        self.keys[place] = key
    }
}

extension ByteString {
    /// - Parameter bytes: of which so many follow the place as this text has.
    fileprivate func matches(_ bytes: UnsafeRawBufferPointer, at place: Int) -> Bool {
        self.withBytes {
            $0.isEmpty || memcmp($0.baseAddress!, bytes.baseAddress! + place, $0.count) == 0
        }
    }
}

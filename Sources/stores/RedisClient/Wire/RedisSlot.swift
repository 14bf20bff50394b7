public import Bytes

/// One of the 16,384 hash slots of a Redis Cluster
/// (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
///
/// Every command names its slot. Outside a cluster the slot has no effect and no cost.
public struct RedisSlot: Sendable, Hashable {
    /// 0 to 16,383, or 65,535 for `any`.
    public let number: UInt16

    public static let count: UInt16 = 16_384
    /// The slot of a command without a key, which any master may execute.
    public static let any = RedisSlot(number: .max)

    private init(number: UInt16) {
        self.number = number
    }

    public init(_ number: UInt16) {
        precondition(number < Self.count, "There is no slot \(number).")
        self.number = number
    }

    /// The slot of a key: the hash of the text between its first braces, or of the whole key.
    public init(key: UnsafeRawBufferPointer) {
        var hashed = key[...]
        if let open = key.firstIndex(of: UInt8(ascii: "{")),
            let close = key[(open + 1)...].firstIndex(of: UInt8(ascii: "}")),
            close > open + 1
        {
            hashed = key[(open + 1)..<close]
        }
        self.number = Self.crc16(UnsafeRawBufferPointer(rebasing: hashed)) % Self.count
    }

    public init(key: ByteString) {
        self = key.withBytes { RedisSlot(key: UnsafeRawBufferPointer($0)) }
    }

    /// CRC-16/XMODEM.
    private static func crc16(_ bytes: UnsafeRawBufferPointer) -> UInt16 {
        bytes.reduce(0) { $0 << 8 ^ Self.table[Int(UInt8(truncatingIfNeeded: $0 >> 8) ^ $1)] }
    }

    private static let table: [UInt16] = (0..<256).map { byte in
        (0..<8).reduce(UInt16(byte) << 8) { crc, _ in
            crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021
        }
    }
}

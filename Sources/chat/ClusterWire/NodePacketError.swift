/// Why bytes are not a packet for this node.
public enum NodePacketError: Error, Sendable, Equatable, CustomStringConvertible {
    case tooShort
    case tooLong(limit: Int)
    /// The sender uses an incompatible version.
    case unsupportedVersion(UInt8)
    case unknownFlags(UInt8)
    /// The sender has another key, or the packet was changed in transit.
    case notAuthentic
    case wrongReceiver(UInt64)
    /// The layout is broken at this byte.
    case malformed(Defect, at: Int)

    public enum Defect: Sendable, Equatable {
        /// A field extends beyond the end of its record.
        case cutShort
        /// A number exceeds its range.
        case number
        /// A text is not UTF-8.
        case text
        /// A list has more elements than remaining bytes.
        case count
        /// A timestamp is outside of the years 0 to 9999.
        case timestamp
    }

    public var description: String {
        switch self {
        case .tooShort: "The packet is too short."
        case .tooLong(let limit): "The packet exceeds \(limit) bytes."
        case .unsupportedVersion(let version):
            "The packet has version \(version); this node supports version \(NodePacket.version)."
        case .unknownFlags(let flags):
            "The packet has unknown flags: \(flags)."
        case .notAuthentic: "The packet was sent with another key, or changed in transit."
        case .wrongReceiver(let incarnation):
            "The packet is for node \(String(incarnation, radix: 36))."
        case .malformed(let defect, let offset):
            "The packet is malformed at byte \(offset): \(defect.explanation)."
        }
    }
}

extension NodePacketError.Defect {
    fileprivate var explanation: String {
        switch self {
        case .cutShort: "a field extends beyond the end of its record"
        case .number: "a number exceeds its range"
        case .text: "a text is not UTF-8"
        case .count: "a list has more elements than remaining bytes"
        case .timestamp: "a timestamp is outside of the years 0 to 9999"
        }
    }
}

/// Why a value cannot be decoded.
enum WireDecodingError: Error {
    /// The layout is broken; the rest of the packet cannot be trusted.
    case malformed(NodePacketError.Defect)
    /// The value has an unknown kind of a later version. Its item is skipped, the others are
    /// readable.
    case unknownKind
}

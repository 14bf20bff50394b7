/// Why bytes are no parcel for this node.
public enum NodePacketError: Error, Sendable, Equatable, CustomStringConvertible {
    case tooShort
    case tooLong(limit: Int)
    /// From a node whose version speaks otherwise.
    case unsupportedVersion(UInt8)
    case unknownFlags(UInt8)
    /// From a node with another key, or changed on its way.
    case notAuthentic
    case wrongReceiver(UInt64)
    /// What stands at this byte breaks the layout.
    case malformed(Defect, at: Int)

    public enum Defect: Sendable, Equatable {
        /// A field reaches beyond the end of what it is in.
        case cutShort
        /// A number is larger than what it counts can be.
        case number
        /// A text is not UTF-8.
        case text
        /// A list has more elements than there are bytes for.
        case count
        /// A moment is in no year from 0 to 9999.
        case timestamp
    }

    public var description: String {
        switch self {
        case .tooShort: "The parcel is too short to be one."
        case .tooLong(let limit): "The parcel has more than \(limit) bytes."
        case .unsupportedVersion(let version):
            "The parcel is of version \(version); this node understands version \(NodePacket.version)."
        case .unknownFlags(let flags):
            "The parcel has flags that this node does not know: \(flags)."
        case .notAuthentic: "The parcel was sent with another key, or changed on its way."
        case .wrongReceiver(let incarnation):
            "The parcel is for node \(String(incarnation, radix: 36))."
        case .malformed(let flaw, let offset):
            "The parcel is malformed at byte \(offset): \(flaw.explanation)."
        }
    }
}

extension NodePacketError.Defect {
    fileprivate var explanation: String {
        switch self {
        case .cutShort: "a field reaches beyond the end of what it is in"
        case .number: "a number is larger than what it counts can be"
        case .text: "a text is not UTF-8"
        case .count: "a list has more elements than there are bytes for"
        case .timestamp: "a moment is in no year from 0 to 9999"
        }
    }
}

/// Why a value cannot be read.
enum WireDecodingError: Error {
    /// It breaks the layout: nothing behind it can be trusted.
    case malformed(NodePacketError.Defect)
    /// It is of a kind that a later version has brought: the item that it is in cannot be understood, the others can.
    case unknownKind
}

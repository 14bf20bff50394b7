public import ChatEngine

/// The envelopes of all loops of one node to all loops of another one at the end of a turn, in one
/// publish.
///
/// The layout, in version 1:
///
///     version        1 byte
///     flags          1 byte
///     from, to       8 bytes each, little-endian: the sender's and the receiver's incarnation
///     envelopes      records, up to the code
///     code           16 bytes: HMAC-SHA-256 of all bytes before, by the cluster key, cut
///
/// A *number* has seven bits per byte, lowest first; the high bit says that more bytes follow. If
/// it can be negative, its lowest bit is the sign. A *text* is its byte count followed by its
/// bytes. A *record* is its byte count followed by its fields; an empty one means nil. A *list* is
/// its element count followed by its elements. An enumeration with associated values is a record
/// whose first byte is its tag; other enumerations are a byte.
///
/// Nodes of different versions exchange packets while a cluster is upgraded. Therefore:
///
/// 1. Fields are only *added*, at the end of a record. A reader uses a default value if the record
///    ends before them (`isAtEnd`), and an older reader skips them.
/// 2. A new kind (of item, command, event, answer, error or role) gets a new tag, and no tag is
///    reused. A reader that does not know the tag skips and counts the whole item, and delivers the
///    others. An item that must not be lost is therefore sent only when all nodes of the view know
///    it.
/// 3. A reader ignores unknown flags among the upper four, and rejects unknown ones among the lower
///    four.
/// 4. Any other change needs the next version, which nodes of this version reject. The cluster must
///    then be stopped for the upgrade. This should never be necessary.
///
/// A malformed packet is rejected as a whole. Its envelopes are lost, and the receiver repairs
/// that.
public struct NodePacket: Sendable {
    /// The sender's incarnation.
    public let from: UInt64
    /// The receiver's incarnation.
    public let to: UInt64
    public let envelopes: [Envelope]
    /// The number of skipped items of unknown kinds.
    public let unknownItemCount: Int

    /// The maximum size of a whole packet. By default, Redis disconnects subscribers with more than
    /// 32 MiB of unread data.
    public static let byteLimit = 16 << 20

    static let version: UInt8 = 1
    static let headerBytes = 18
    static let codeBytes = 16
    /// The flags that a reader must know.
    static let mandatoryFlags: UInt8 = 0x0F
}

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
/// # Rules of all formats between nodes
///
/// Nodes of different versions exchange messages while a cluster is upgraded. These rules hold for
/// all four formats: packets, requests (`NodeRequest`), messages about forwarded connections
/// (`EngineNodeMessage`) and the snapshots of sessions that move (`RoomsSession`).
///
/// 1. Fields are only *added*: at the end of a record or of a line of words, or as a further member
///    of a JSON object. A reader uses a default value for a missing field (`isAtEnd` in a record),
///    and an older reader skips the fields that it does not know.
/// 2. A new kind (of item, command, event, answer, error or role; of request or message) gets a new
///    tag, and no tag is reused. A reader that does not know the tag skips the whole item or
///    message, and handles the others; skipped items are counted. An item that must not be lost is
///    therefore sent only when all nodes of the view know it. A request without a reply has failed.
/// 3. A reader ignores unknown flags of a packet among the upper four, and rejects unknown ones
///    among the lower four.
/// 4. Any other change needs the next version of packets, or another marker of control messages,
///    which nodes of this version reject. The cluster must then be stopped for the upgrade. This
///    should never be necessary.
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

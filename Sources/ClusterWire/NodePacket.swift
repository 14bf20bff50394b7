public import Cluster

/// What one node has for another at the end of a turn: the envelopes of all their loops, in one publish.
///
/// The layout, in version 1:
///
///     version        1 byte
///     flags          1 byte
///     from, to       8 bytes each, lowest first: the incarnation that sends, and the one that it is for
///     envelopes      records, up to the code
///     code           16 bytes: HMAC-SHA-256 of everything before, under the cluster's key, cut
///
/// A *number* is seven bits a byte, lowest first, the high bit saying that more follow. Where it may be negative, its sign is its lowest
/// bit. A *text* is the number of its bytes, and these. A *record* is the number of its bytes, and its fields one behind the other; one of no bytes
/// stands for nothing. A *list* is the number of its elements, and these. An enumeration with values in it is a record whose first byte is
/// its tag; one without is a byte.
///
/// Nodes of two versions speak with each other while a cluster is upgraded, so:
///
/// 1. Fields are only ever *added*, at the end of a record, and read with a default where the record ends before them (`isAtEnd`). Whoever does
///    not know them skips them.
/// 2. A new kind of anything (item, command, event, answer, error, role) gets a new tag; none is ever used again for something else. Where
///    it stands, the item that it is in is not understood: it is left out and counted, and the others are delivered. So what must
///    not be lost is sent only when all nodes of the view are of a version that knows it.
/// 3. The upper four flags may be ignored by who does not know them, the lower four may not.
/// 4. A change that is none of these takes the next version, which nodes of this one refuse: a cluster then has to be stopped. Nobody
///    should ever have to do that.
///
/// A parcel that breaks the layout is refused as a whole; its envelopes are lost mail, which the receiver repairs.
public struct NodePacket: Sendable {
    /// The incarnation that has sent it.
    public let from: UInt64
    /// The incarnation that it is for.
    public let to: UInt64
    public let envelopes: [Envelope]
    /// So many items were of a kind that a later version has brought.
    public let unknownItemCount: Int

    /// A whole parcel. Redis cuts off subscribers for whom more than 32 MiB wait, unless told otherwise.
    public static let byteLimit = 16 << 20

    static let version: UInt8 = 1
    static let headerBytes = 18
    static let codeBytes = 16
    /// Those that may not be ignored.
    static let mandatoryFlags: UInt8 = 0x0F
}

public import Bytes

/// A place in a list that is ordered by moments, and by ids where those are the same: in a catalog by when a conversation was made.
/// Whatever comes and goes, what stands below a place stays below it.
public struct PageCursor: Sendable, Hashable, Comparable {
    public let time: Timestamp
    public let id: ByteString

    public init(time moment: Timestamp, id: ByteString) {
        self.time = moment
        self.id = id
    }

    /// The place that was given away as `text`; nil where it is none.
    public init?(_ text: ByteString) {
        let parts = text.string.split(
            separator: "_", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let milliseconds = Int64(parts[0]),
            String(milliseconds) == parts[0], !parts[1].isEmpty
        else { return nil }
        self.init(time: Timestamp(milliseconds: milliseconds), id: ByteString(String(parts[1])))
    }

    /// For a client to hand back. It needs no escaping in a URL where the id needs none.
    public var text: ByteString { ByteString("\(self.time.milliseconds)_\(self.id)") }

    public static func < (left: PageCursor, right: PageCursor) -> Bool {
        left.time == right.time ? left.id < right.id : left.time < right.time
    }
}

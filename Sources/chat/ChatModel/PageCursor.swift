public import Bytes

/// A position in a list that is ordered by time, and by id where times are equal. A catalog is
/// ordered by the time of creation.
///
/// An entry below a position stays below it, whatever other entries come and go.
public struct PageCursor: Sendable, Hashable, Comparable {
    public let time: Timestamp
    public let id: ByteString

    public init(time: Timestamp, id: ByteString) {
        self.time = time
        self.id = id
    }

    /// Parses the `text` of a cursor; nil if it is not valid.
    public init?(_ text: ByteString) {
        let parts = text.string.split(
            separator: "_", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let milliseconds = Int64(parts[0]),
            String(milliseconds) == parts[0], !parts[1].isEmpty
        else { return nil }
        self.init(time: Timestamp(milliseconds: milliseconds), id: ByteString(String(parts[1])))
    }

    /// The form in which clients return the cursor. It needs no escaping in a URL if the id needs
    /// none.
    public var text: ByteString { ByteString("\(self.time.milliseconds)_\(self.id)") }

    public static func < (left: PageCursor, right: PageCursor) -> Bool {
        left.time == right.time ? left.id < right.id : left.time < right.time
    }
}

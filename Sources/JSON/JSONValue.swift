/// A value's place in a `JSONDocument`: a name for it, not the value itself.
///
/// It means something only to the document that gave it, and only until that document parses again.
public struct JSONValue: Sendable, Hashable {
    let index: Int32

    init(index: Int) {
        self.index = Int32(truncatingIfNeeded: index)
    }
}

/// What a JSON value is (RFC 8259 section 3).
public enum JSONKind: UInt8, Sendable, Hashable {
    case object, array, string, number, `true`, `false`, null
}

/// One name and its value in a JSON object.
public struct JSONMember: Sendable, Hashable {
    /// The name: a string of the document.
    public let name: JSONValue
    public let value: JSONValue
}

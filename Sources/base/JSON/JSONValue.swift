/// A reference to a value in a `JSONDocument`.
///
/// It is valid only for the document that returned it, and only until that document parses again.
public struct JSONValue: Sendable, Hashable {
    let index: Int32

    init(index: Int) {
        self.index = Int32(truncatingIfNeeded: index)
    }
}

/// The type of a JSON value (RFC 8259 section 3).
public enum JSONKind: UInt8, Sendable, Hashable {
    case object, array, string, number, `true`, `false`, null
}

/// A name and its value in a JSON object.
public struct JSONMember: Sendable, Hashable {
    /// The name, which is a string of the document.
    public let name: JSONValue
    public let value: JSONValue
}

public import JSON

/// Why a text that was kept in Redis cannot be used.
public enum PersistentTextError: Error, Sendable, Equatable, CustomStringConvertible {
    case tooLong(limit: Int)
    /// Its hash is missing or not that of what stands before it: it was changed by somebody else, or is not whole.
    case damaged
    case json(JSONError)
    /// It was kept by a version that says it otherwise.
    case unsupportedFormat(Int)
    /// What is wrong with one member: `nodes: "x" stands there twice`.
    case invalidMember(String, String)

    public var description: String {
        switch self {
        case .tooLong(let limit): "it has more than \(limit) bytes"
        case .damaged:
            "its hash is not that of its content: it was changed by hand, or is not whole"
        case .json(let error): error.description
        case .unsupportedFormat(let format):
            "it has format \(format); this node understands format \(PersistentText.format)"
        case .invalidMember(let name, let why): "\(name): \(why)"
        }
    }
}

public import JSON

/// Why a text from Redis cannot be used.
public enum PersistentTextError: Error, Sendable, Equatable, CustomStringConvertible {
    case tooLong(limit: Int)
    /// The hash is missing or does not match: the text was changed or truncated.
    case damaged
    case json(JSONError)
    /// It was written by an incompatible version.
    case unsupportedFormat(Int)
    /// The error in one member, such as `nodes: the same node is listed twice`.
    case invalidMember(String, String)

    public var description: String {
        switch self {
        case .tooLong(let limit): "the text exceeds \(limit) bytes"
        case .damaged:
            "the hash does not match: the text was changed by hand, or truncated"
        case .json(let error): error.description
        case .unsupportedFormat(let format):
            "the text has format \(format); this node supports format \(PersistentText.format)"
        case .invalidMember(let name, let why): "\(name): \(why)"
        }
    }
}

public import JSON

/// Why a text that was kept in Redis cannot be used.
public enum KeptTextError: Error, Sendable, Equatable, CustomStringConvertible {
    case tooLong(limit: Int)
    /// Its hash is missing or not that of what stands before it: it was changed by somebody else, or is not whole.
    case damaged
    case json(JSONError)
    /// It was kept by a version that says it otherwise.
    case otherFormat(Int)
    /// What is wrong with one member: `nodes: "x" stands there twice`.
    case member(String, String)

    public var description: String {
        switch self {
        case .tooLong(let limit): "it has more than \(limit) bytes"
        case .damaged: "its hash is not that of its content: it was changed by hand, or is not whole"
        case .json(let error): error.description
        case .otherFormat(let format): "it has format \(format); this node understands format \(KeptText.format)"
        case .member(let name, let why): "\(name): \(why)"
        }
    }
}

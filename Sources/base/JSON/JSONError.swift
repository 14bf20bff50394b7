/// The reason why a JSON text is rejected, and the position of the error.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Reason: Sendable, Hashable {
        case unexpectedEnd
        case valueExpected
        case nameExpected
        case colonExpected
        case commaOrEndExpected
        case mismatchedBracket
        case trailingContent
        case byteOrderMark
        case badNumber
        case controlCharacter
        case badEscape
        case loneSurrogate
        case badUTF8
        case tooDeep(limit: Int)
        case tooManyValues(limit: Int)
        case tooLong
    }

    public let reason: Reason
    /// The position of the error in bytes, from 0.
    public let offset: Int

    public init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    public var description: String {
        "The JSON is malformed at byte \(self.offset): \(self.reason.phrase)."
    }
}

extension JSONError.Reason {
    var phrase: String {
        switch self {
        case .unexpectedEnd: "it ends too early"
        case .valueExpected: "a value was expected"
        case .nameExpected: "a member's name in double quotes was expected"
        case .colonExpected: "a colon was expected"
        case .commaOrEndExpected: "a comma or a closing bracket was expected"
        case .mismatchedBracket: "the closing bracket does not match the opening one"
        case .trailingContent: "something follows the value"
        case .byteOrderMark: "it begins with a byte order mark"
        case .badNumber: "a number is malformed"
        case .controlCharacter: "a control character in a string must be escaped"
        case .badEscape: "an escape in a string is malformed"
        case .loneSurrogate: "an escaped surrogate stands alone"
        case .badUTF8: "a string is not UTF-8"
        case .tooDeep(let limit): "values are nested more than \(limit) deep"
        case .tooManyValues(let limit): "it has more than \(limit) values"
        case .tooLong: "it is longer than 2 GiB"
        }
    }
}

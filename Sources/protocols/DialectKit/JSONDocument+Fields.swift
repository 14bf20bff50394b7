public import Bytes
public import ChatModel
import Identity
public import JSON

/// A missing or invalid field of a client's frame. The sentence starts with the field's name.
public struct FieldError: Error, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }

    public init(_ error: ChatError) {
        self.description = error.description
    }
}

/// Parses a frame and its fields. Every error names the field.
extension JSONDocument {
    /// Parses a whole frame, which must be one JSON object.
    public mutating func parseFrame(_ text: RawSpan) throws(FieldError) {
        do throws(JSONError) {
            try self.parse(text)
        } catch {
            throw FieldError(error.description)
        }
        guard self.kind(of: self.root) == .object else {
            throw FieldError("a frame must be a JSON object")
        }
    }

    /// The string; nil if the field is missing or null.
    public func optionalString(_ name: StaticString, of object: JSONValue, in bytes: RawSpan)
        throws(FieldError) -> String?
    {
        guard let value = self.nonNullMember(name, of: object, in: bytes) else { return nil }
        guard let text = self.string(value, in: bytes) else {
            throw FieldError("\(name): must be a string")
        }
        return text
    }

    public func requiredString(_ name: StaticString, of object: JSONValue, in bytes: RawSpan)
        throws(FieldError) -> String
    {
        guard let text = try self.optionalString(name, of: object, in: bytes) else {
            throw FieldError("\(name): is missing")
        }
        return text
    }

    public func requiredObject(_ name: StaticString, of object: JSONValue, in bytes: RawSpan)
        throws(FieldError) -> JSONValue
    {
        guard let value = self.nonNullMember(name, of: object, in: bytes) else {
            throw FieldError("\(name): is missing")
        }
        guard self.kind(of: value) == .object else {
            throw FieldError("\(name): must be an object")
        }
        return value
    }

    /// Nil if the field is missing or null.
    public func optionalBool(_ name: StaticString, of object: JSONValue, in bytes: RawSpan)
        throws(FieldError) -> Bool?
    {
        guard let value = self.nonNullMember(name, of: object, in: bytes) else { return nil }
        guard let bool = self.bool(value) else {
            throw FieldError("\(name): must be true or false")
        }
        return bool
    }

    public func requiredBool(_ name: StaticString, of object: JSONValue, in bytes: RawSpan)
        throws(FieldError) -> Bool
    {
        guard let bool = try self.optionalBool(name, of: object, in: bytes) else {
            throw FieldError("\(name): is missing")
        }
        return bool
    }

    /// An integer in a range; nil if the field is missing or null.
    public func optionalInteger(
        _ name: StaticString, within range: ClosedRange<Int>, of object: JSONValue,
        in bytes: RawSpan
    ) throws(FieldError) -> Int? {
        guard let value = self.nonNullMember(name, of: object, in: bytes) else { return nil }
        guard let number = self.integer(value, in: bytes), range.contains(number) else {
            throw FieldError(
                "\(name): must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// An array of strings, at least one.
    public func requiredStrings(_ name: StaticString, of object: JSONValue, in bytes: RawSpan)
        throws(FieldError) -> [String]
    {
        guard let value = self.nonNullMember(name, of: object, in: bytes) else {
            throw FieldError("\(name): is missing")
        }
        guard self.kind(of: value) == .array else {
            throw FieldError("\(name): must be an array of strings")
        }
        var texts: [String] = []
        var next = self.firstElement(of: value)
        while let element = next {
            guard let text = self.string(element, in: bytes) else {
                throw FieldError("\(name): must be an array of strings")
            }
            texts.append(text)
            next = self.element(after: element, in: value)
        }
        guard !texts.isEmpty else { throw FieldError("\(name): must not be empty") }
        return texts
    }

    /// A message id in decimal; nil if the field is missing or null.
    public func optionalMessageID(_ name: StaticString, of object: JSONValue, in bytes: RawSpan)
        throws(FieldError) -> SequenceNumber?
    {
        guard let text = try self.optionalString(name, of: object, in: bytes) else { return nil }
        guard let sequence = MessageID.sequence(text) else {
            throw FieldError("\(name): must be a message id")
        }
        return sequence
    }

    public func requiredMessageID(_ name: StaticString, of object: JSONValue, in bytes: RawSpan)
        throws(FieldError) -> SequenceNumber
    {
        guard let sequence = try self.optionalMessageID(name, of: object, in: bytes) else {
            throw FieldError("\(name): is missing")
        }
        return sequence
    }

    /// Accepts the ids of conversations of any dialect.
    public func requiredConversationID(
        _ name: StaticString, of object: JSONValue, in bytes: RawSpan
    ) throws(FieldError) -> ByteString {
        let id = try self.requiredString(name, of: object, in: bytes)
        guard IdentityRule.conversation.allows(id) else {
            throw FieldError("\(name): must be a conversation id")
        }
        return ByteString(id)
    }

    /// The text of a message, within the limits.
    ///
    /// - Parameter name: the field's name in the protocol.
    public func messageContent(
        _ name: StaticString = "content", of object: JSONValue, in bytes: RawSpan,
        limits: Limits
    ) throws(FieldError) -> String {
        let content = try self.requiredString(name, of: object, in: bytes)
        do throws(ChatError) {
            try limits.check(content: content)
        } catch {
            switch error {
            case .contentEmpty: throw FieldError("\(name): must not be empty")
            case .contentTooLong(let limit): throw FieldError("\(name): longer than \(limit) bytes")
            default: throw FieldError(error)
            }
        }
        return content
    }
}

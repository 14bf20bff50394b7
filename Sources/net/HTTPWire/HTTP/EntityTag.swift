internal import Bytes

/// Identifies the content of a response, so that a client that already has it receives no body (RFC
/// 9110 section 8.8.3).
public struct EntityTag: Sendable, Equatable {
    /// The quoted tag: a hash of the body.
    public let text: String

    public init(_ body: [UInt8]) {
        let hash = body.withUnsafeBufferPointer { StableHash.mix(StableHash.fnv1a($0)) }
        self.text = "\"\(String(hash, radix: 16))-\(String(body.count, radix: 16))\""
    }

    /// Whether an `If-None-Match` contains the tag. Weak tags count (RFC 9110 section 13.1.2).
    public func matches(_ field: String?) -> Bool {
        guard let field else { return false }
        return field.split(separator: ",").contains { part in
            let tag = part.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
            return tag == "*" || (tag.hasPrefix("W/") ? tag.dropFirst(2) : tag) == self.text
        }
    }
}

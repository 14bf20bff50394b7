/// A request method (RFC 9110 section 9). `other` is any valid method that this service does not
/// use.
public enum HTTPMethod: Sendable, Hashable {
    case get, head, post, put, delete, options, patch, other

    /// The method as it stands in a request; empty for `other`.
    public var name: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .patch: "PATCH"
        case .other: ""
        }
    }
}

public enum HTTPVersion: Sendable, Hashable {
    /// The server closes the connection after the response.
    case http10
    case http11
}

/// The length of a message's body (RFC 9112 section 6).
public enum HTTPBodyLength: Sendable, Hashable {
    case bytes(Int)
    case chunked
    /// Only in responses: the body lasts until the connection ends.
    case untilClose
}

/// The head of a request. All ranges are positions in the bytes from which it was parsed.
///
/// Reuse the value for later requests, because it keeps the capacity of its field list.
public struct HTTPRequestHead: Sendable {
    public internal(set) var method = HTTPMethod.other
    public internal(set) var version = HTTPVersion.http11
    /// The request target as received.
    public internal(set) var target = 0..<0
    /// Begins with a slash, or is `*` in `OPTIONS *`. Still percent-encoded.
    public internal(set) var path = 0..<0
    /// The part after the question mark. Nil without one.
    public internal(set) var query: Range<Int>?
    /// Host and port of an absolute target, otherwise of the Host field. Nil only in HTTP/1.0.
    public internal(set) var authority: Range<Int>?
    public internal(set) var fields = HTTPFields()
    public internal(set) var body = HTTPBodyLength.bytes(0)
    /// Whether the connection may carry another request after this one.
    public internal(set) var keepsAlive = true
    /// Whether the client waits for `100 Continue` before it sends the body.
    public internal(set) var expectsContinue = false
    /// The length of the head. The body begins after it.
    public internal(set) var byteCount = 0

    public init() {}

    /// Whether the path is equal to `path`.
    public func pathEquals(_ path: StaticString, in bytes: RawSpan) -> Bool {
        bytes.matches(path, at: self.path)
    }

    /// Whether the path begins with `text`.
    public func pathStarts(with text: StaticString, in bytes: RawSpan) -> Bool {
        guard self.path.count >= text.utf8CodeUnitCount else { return false }
        return bytes.matches(
            text, at: self.path.lowerBound..<self.path.lowerBound + text.utf8CodeUnitCount)
    }

    /// The path, still percent-encoded.
    public func pathText(in bytes: RawSpan) -> String {
        bytes.text(at: self.path)
    }

    /// The range of the value of the first field with this name.
    ///
    /// - Parameter name: in lower case. Fields match in any case.
    public func field(_ name: StaticString, in bytes: RawSpan) -> Range<Int>? {
        self.fields.first(name, in: bytes)
    }
}

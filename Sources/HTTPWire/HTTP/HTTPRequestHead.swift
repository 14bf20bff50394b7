/// A request method (RFC 9110 section 9). What is not listed is a good token that this service has no use for.
public enum HTTPMethod: Sendable, Hashable {
    case get, head, post, put, delete, options, patch, other
}

public enum HTTPVersion: Sendable, Hashable {
    /// Its connections end with the response here.
    case http10
    case http11
}

/// How long a message's body is (RFC 9112 section 6).
public enum HTTPBodyLength: Sendable, Hashable {
    case bytes(Int)
    case chunked
    /// Only in responses: whatever comes until the connection ends.
    case untilClose
}

/// A request's head. Every range is a place in the bytes it was parsed from, counted from their first.
///
/// Kept and used again: its list of fields stays.
public struct HTTPRequestHead: Sendable {
    public internal(set) var method = HTTPMethod.other
    public internal(set) var version = HTTPVersion.http11
    /// The target as it was written.
    public internal(set) var target = 0..<0
    /// Begins with a slash; `*` in `OPTIONS *`. Still percent-encoded.
    public internal(set) var path = 0..<0
    /// Behind the question mark; nil without one.
    public internal(set) var query: Range<Int>?
    /// Host and port: of an absolute target, else of the Host field; nil only in HTTP/1.0.
    public internal(set) var authority: Range<Int>?
    public internal(set) var fields = HTTPFields()
    public internal(set) var body = HTTPBodyLength.bytes(0)
    /// Whether the connection may carry another request behind this one.
    public internal(set) var keepsAlive = true
    /// Whether the client waits for `100 Continue` before it sends the body.
    public internal(set) var expectsContinue = false
    /// How many bytes the head has: the body begins behind them.
    public internal(set) var byteCount = 0

    public init() {}

    /// Whether the path is exactly this one.
    public func pathEquals(_ path: StaticString, in bytes: RawSpan) -> Bool {
        bytes.matches(path, at: self.path)
    }

    /// Whether the path begins with this.
    public func pathStarts(with text: StaticString, in bytes: RawSpan) -> Bool {
        guard self.path.count >= text.utf8CodeUnitCount else { return false }
        return bytes.matches(
            text, at: self.path.lowerBound..<self.path.lowerBound + text.utf8CodeUnitCount)
    }

    /// The path, with its percent-encoding.
    public func pathText(in bytes: RawSpan) -> String {
        bytes.text(at: self.path)
    }

    /// Where the value of the first field of that name stands.
    ///
    /// - Parameter name: in lower case; fields match in any case.
    public func field(_ name: StaticString, in bytes: RawSpan) -> Range<Int>? {
        self.fields.first(name, in: bytes)
    }
}

/// Limits for the head of a request.
public struct HTTPLimits: Sendable, Hashable {
    /// The whole head. A longer one is rejected with 431.
    public var headBytes: Int
    /// The request line. A longer one is rejected with 414.
    public var requestLineBytes: Int
    /// The number of fields. More are rejected with 431.
    public var fieldCount: Int

    public init(headBytes: Int = 16 << 10, requestLineBytes: Int = 8 << 10, fieldCount: Int = 100) {
        self.headBytes = headBytes
        self.requestLineBytes = requestLineBytes
        self.fieldCount = fieldCount
    }
}

/// Finds and parses the heads of the requests on one connection (RFC 9112).
///
/// The caller keeps the bytes and passes all unread ones each time. The parser remembers how far it
/// has searched. A client that sends single bytes therefore costs no more than another.
///
/// Everything that two implementations may interpret differently is rejected. Otherwise a client
/// could smuggle requests past a proxy. This includes bare line feeds, folded lines, blanks before
/// colons, repeated lengths and hosts, and all transfer codings except `chunked`.
public struct HTTPRequestParser: Sendable {
    private var headSearch = HTTPHeadSearch()

    public init() {}

    /// Parses one head.
    ///
    /// - Parameter bytes: all unread bytes. After true, the body or the next request begins at
    ///   `head.byteCount`.
    /// - Returns: whether the head is complete. If not, call again with the same bytes followed by
    ///   more.
    public mutating func parse(
        _ bytes: RawSpan, into head: inout HTTPRequestHead, limits: HTTPLimits
    ) throws(HTTPError) -> Bool {
        guard let end = try self.headSearch.end(in: bytes, limits: limits) else { return false }
        let start = self.headSearch.start
        self.headSearch = HTTPHeadSearch()
        head.byteCount = end
        let lineEnd = try head.parseRequestLine(bytes, from: start, to: end)
        let framing = try head.fields.parse(
            bytes, from: lineEnd, to: end, countLimit: limits.fieldCount)
        try head.apply(framing, bytes)
        return true
    }
}

/// Searches for the empty line that ends a head. Continues where the last search stopped.
struct HTTPHeadSearch: Sendable {
    /// The position up to which all bytes were searched.
    private var searched = 0
    /// The start of the current line.
    private var lineStart = 0
    /// The start of the first line that is not empty.
    private(set) var start = 0

    /// The position after the empty line that ends the head. Nil if it has not arrived.
    mutating func end(in bytes: RawSpan, limits: HTTPLimits) throws(HTTPError) -> Int? {
        while let lineFeed = bytes.first(0x0A, from: self.searched, to: bytes.byteCount) {
            // This check comes first, so that the error does not depend on how the bytes are split.
            try self.checkLength(upTo: lineFeed, limits)
            guard lineFeed > self.lineStart, bytes[byteAt: lineFeed - 1] == 0x0D else {
                throw .badRequest("A line of the head does not end with CR and LF.")
            }
            let isEmpty = lineFeed - 1 == self.lineStart
            let isFirst = self.lineStart == self.start
            self.searched = lineFeed + 1
            guard self.searched <= limits.headBytes else { throw Self.headTooLong(limits) }
            if isEmpty, !isFirst { return self.searched }
            if isEmpty {
                // One empty line before a request is allowed (RFC 9112 section 2.2).
                guard self.start == 0 else {
                    throw .badRequest("There are empty lines in front of the request.")
                }
                self.start = self.searched
            }
            self.lineStart = self.searched
        }
        try self.checkLength(upTo: bytes.byteCount, limits)
        self.searched = bytes.byteCount
        return nil
    }

    private func checkLength(upTo end: Int, _ limits: HTTPLimits) throws(HTTPError) {
        if self.lineStart == self.start, end - self.start > limits.requestLineBytes {
            throw HTTPError(
                .uriTooLong, "The request line has more than \(limits.requestLineBytes) bytes.")
        }
        guard end <= limits.headBytes else { throw Self.headTooLong(limits) }
    }

    private static func headTooLong(_ limits: HTTPLimits) -> HTTPError {
        HTTPError(
            .headerFieldsTooLarge, "The request's head has more than \(limits.headBytes) bytes.")
    }
}

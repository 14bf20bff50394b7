/// How much a client may put into a head.
public struct HTTPLimits: Sendable, Hashable {
    /// The whole head. Beyond it: 431.
    public var headBytes: Int
    /// The request line. Beyond it: 414.
    public var requestLineBytes: Int
    /// Beyond them: 431.
    public var fieldCount: Int

    public init(headBytes: Int = 16 << 10, requestLineBytes: Int = 8 << 10, fieldCount: Int = 100) {
        self.headBytes = headBytes
        self.requestLineBytes = requestLineBytes
        self.fieldCount = fieldCount
    }
}

/// Finds and reads the heads of one connection's requests (RFC 9112), one after the other.
///
/// The caller keeps the bytes and hands in all unread ones each time. The parser only remembers how far it has searched, so that
/// a client that sends single bytes costs no more than another.
///
/// Whatever two readers may read differently is refused, because a proxy in front that reads it the other way would let a client smuggle
/// requests past it: bare line ends, folded lines, blanks before colons, doubled lengths and hosts, any transfer coding but `chunked`.
public struct HTTPRequestParser: Sendable {
    private var headSearch = HTTPHeadSearch()

    public init() {}

    /// Reads one head.
    ///
    /// - Parameter bytes: from the first unread one on. After true, the body and the next request begin `head.byteCount` bytes later.
    /// - Returns: whether the head is whole; if not, come back with the same bytes and more behind them.
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

/// Looks for the empty line that ends a head, and goes on where it stopped the last time.
struct HTTPHeadSearch: Sendable {
    /// Everything before it was looked at.
    private var searched = 0
    /// Where the line begins that is being looked at.
    private var lineStart = 0
    /// Where the first line that is not empty begins.
    private(set) var start = 0

    /// The place behind the empty line; nil when it has not come.
    mutating func end(in bytes: RawSpan, limits: HTTPLimits) throws(HTTPError) -> Int? {
        while let lineFeed = bytes.first(0x0A, from: self.searched, to: bytes.byteCount) {
            // First, so that the same is said however the bytes are cut.
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
                // One empty line in front of a request is let pass (RFC 9112 section 2.2).
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

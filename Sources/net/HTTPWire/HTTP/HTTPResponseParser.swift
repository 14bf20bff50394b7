/// The head of a response, for clients. All ranges are positions in the bytes from which it was
/// parsed.
public struct HTTPResponseHead: Sendable {
    public internal(set) var status = HTTPStatus(rawValue: 0)
    public internal(set) var version = HTTPVersion.http11
    public internal(set) var fields = HTTPFields()
    public internal(set) var body = HTTPBodyLength.bytes(0)
    /// Whether the connection may carry another request.
    public internal(set) var keepsAlive = true
    /// The length of the head. The body begins after it.
    public internal(set) var byteCount = 0

    public init() {}
}

/// The reason why a server's response is invalid.
public struct HTTPResponseError: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Finds and parses the heads of responses, as strictly as those of requests.
public struct HTTPResponseParser: Sendable {
    private var headSearch = HTTPHeadSearch()

    public init() {}

    /// Parses one head.
    ///
    /// - Parameters:
    ///   - bytes: all unread bytes.
    ///   - answersHead: whether the request was a HEAD, whose response never has a body.
    /// - Returns: whether the head is complete. If not, call again with the same bytes followed by
    ///   more.
    public mutating func parse(
        _ bytes: RawSpan, into head: inout HTTPResponseHead, limits: HTTPLimits = HTTPLimits(),
        answersHead: Bool = false
    ) throws(HTTPResponseError) -> Bool {
        do throws(HTTPError) {
            guard let end = try self.headSearch.end(in: bytes, limits: limits) else { return false }
            let start = self.headSearch.start
            self.headSearch = HTTPHeadSearch()
            head.byteCount = end
            let lineEnd = try head.parseStatusLine(bytes, from: start, to: end)
            let framing = try head.fields.parse(
                bytes, from: lineEnd, to: end, countLimit: limits.fieldCount)
            head.apply(framing, answersHead: answersHead)
            return true
        } catch {
            throw HTTPResponseError("The server's response is malformed: \(error.message)")
        }
    }
}

extension HTTPResponseHead {
    /// Parses the status line at `start` (RFC 9112 section 4) and returns the position after it.
    fileprivate mutating func parseStatusLine(_ bytes: RawSpan, from start: Int, to end: Int)
        throws(HTTPError) -> Int
    {
        let codeStart = start + 9
        guard codeStart + 5 <= end, bytes[byteAt: start + 8] == 0x20,
            bytes[byteAt: codeStart] != 0x30,
            (codeStart..<codeStart + 3).allSatisfy({ isDigit(bytes[byteAt: $0]) })
        else {
            throw .badRequest(
                "Its status line must begin with a version and a code of three digits.")
        }
        if bytes.matches("HTTP/1.1", at: start..<start + 8) {
            self.version = .http11
        } else if bytes.matches("HTTP/1.0", at: start..<start + 8) {
            self.version = .http10
        } else {
            throw .badRequest("Its version is neither HTTP/1.1 nor HTTP/1.0.")
        }
        self.status = HTTPStatus(
            rawValue: (codeStart..<codeStart + 3).reduce(0) {
                $0 * 10 + Int(bytes[byteAt: $1] &- 0x30)
            })
        // Some servers omit the reason phrase and the space before it.
        let lineEnd = bytes.firstControl(from: codeStart + 3, to: end)
        guard bytes[byteAt: codeStart + 3] == 0x20 || lineEnd == codeStart + 3, lineEnd + 1 < end,
            bytes[byteAt: lineEnd] == 0x0D,
            bytes[byteAt: lineEnd + 1] == 0x0A
        else { throw .badRequest("Its status line has letters that do not belong there.") }
        return lineEnd + 2
    }

    /// Determines the length of the body (RFC 9112 section 6.3).
    fileprivate mutating func apply(_ framing: HTTPFraming, answersHead: Bool) {
        if answersHead || self.status.hasNoBody {
            self.body = .bytes(0)
        } else if framing.isChunked {
            self.body = .chunked
        } else if let length = framing.contentLength {
            self.body = .bytes(length)
        } else {
            self.body = .untilClose
        }
        self.keepsAlive = self.version == .http11 && !framing.closes && self.body != .untilClose
    }
}

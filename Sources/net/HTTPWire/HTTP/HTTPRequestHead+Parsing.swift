internal import Bytes

extension HTTPRequestHead {
    /// Parses the request line at `start` (RFC 9112 section 3) and returns the position after it.
    ///
    /// - Parameter end: the position after the head, which contains at least one line and the empty
    ///   line.
    mutating func parseRequestLine(_ bytes: RawSpan, from start: Int, to end: Int) throws(HTTPError)
        -> Int
    {
        var offset = start
        while ByteSet.token.contains(bytes[byteAt: offset]) { offset &+= 1 }
        guard offset > start, bytes[byteAt: offset] == 0x20 else {
            throw .badRequest("The request's method is malformed.")
        }
        self.method = Self.method(bytes, start..<offset)

        let targetStart = offset + 1
        guard let targetEnd = bytes.first(0x20, from: targetStart, to: end), targetEnd > targetStart
        else {
            throw .badRequest("The request's target is malformed.")
        }
        self.target = targetStart..<targetEnd

        let version = targetEnd + 1..<targetEnd + 9
        guard version.upperBound + 2 <= end,
            bytes.matches("HTTP/", at: version.lowerBound..<version.lowerBound + 5),
            isDigit(bytes[byteAt: version.lowerBound + 5]),
            bytes[byteAt: version.lowerBound + 6] == UInt8(ascii: "."),
            isDigit(bytes[byteAt: version.lowerBound + 7]),
            bytes[byteAt: version.upperBound] == 0x0D,
            bytes[byteAt: version.upperBound + 1] == 0x0A
        else {
            throw .badRequest(
                "The request line must be a method, a target and a version, "
                    + "with one space between them."
            )
        }
        if bytes.matches("HTTP/1.1", at: version) {
            self.version = .http11
        } else if bytes.matches("HTTP/1.0", at: version) {
            self.version = .http10
        } else {
            throw HTTPError(.versionNotSupported, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        }
        try self.parseTarget(bytes)
        return version.upperBound + 2
    }

    private static func method(_ bytes: RawSpan, _ range: Range<Int>) -> HTTPMethod {
        if bytes.matches("GET", at: range) { return .get }
        if bytes.matches("POST", at: range) { return .post }
        if bytes.matches("HEAD", at: range) { return .head }
        if bytes.matches("PUT", at: range) { return .put }
        if bytes.matches("DELETE", at: range) { return .delete }
        if bytes.matches("OPTIONS", at: range) { return .options }
        if bytes.matches("PATCH", at: range) { return .patch }
        return .other
    }

    private mutating func parseTarget(_ bytes: RawSpan) throws(HTTPError) {
        self.authority = nil
        var pathStart = self.target.lowerBound
        switch bytes[byteAt: pathStart] {
        case UInt8(ascii: "/"):
            break
        case UInt8(ascii: "*") where self.target.count == 1 && self.method == .options:
            self.path = self.target
            self.query = nil
            return
        default:
            pathStart = try self.parseAuthority(bytes)
        }

        var offset = pathStart
        while offset < self.target.upperBound, ByteSet.path.contains(bytes[byteAt: offset]) {
            offset &+= 1
        }
        self.path = pathStart..<offset
        self.query = nil
        if offset < self.target.upperBound, bytes[byteAt: offset] == UInt8(ascii: "?") {
            let queryStart = offset + 1
            offset = queryStart
            while offset < self.target.upperBound, ByteSet.query.contains(bytes[byteAt: offset]) {
                offset &+= 1
            }
            self.query = queryStart..<offset
        }
        // A fragment, for example, is not allowed in a request.
        guard offset == self.target.upperBound else {
            throw .badRequest("The request's target has a letter that must be percent-encoded.")
        }
        guard Self.hasValidEscapes(bytes, self.target) else {
            throw .badRequest("The request's target has a malformed percent-encoding.")
        }
        // An absolute target may have no path. The second slash of its "//" then serves as the
        // path.
        if self.path.isEmpty {
            guard let authority = self.authority else {
                throw .badRequest("The request's target is malformed.")
            }
            self.path = authority.lowerBound - 1..<authority.lowerBound
        }
    }

    /// Parses the scheme and authority of an absolute target (RFC 9112 section 3.2.2) and returns
    /// the start of its path.
    private mutating func parseAuthority(_ bytes: RawSpan) throws(HTTPError) -> Int {
        let start = self.target.lowerBound
        for scheme in ["http://", "https://"] as [StaticString] {
            let authorityStart = start + scheme.utf8CodeUnitCount
            guard authorityStart <= self.target.upperBound,
                bytes.matches(lowerCase: scheme, at: start..<authorityStart)
            else { continue }
            var offset = authorityStart
            while offset < self.target.upperBound, bytes[byteAt: offset] != UInt8(ascii: "/"),
                bytes[byteAt: offset] != UInt8(ascii: "?")
            {
                offset += 1
            }
            guard Self.isAuthority(bytes, authorityStart..<offset) else {
                throw .badRequest("The host in the request's target is malformed.")
            }
            self.authority = authorityStart..<offset
            return offset
        }
        throw .badRequest("The request's target must begin with a slash.")
    }

    static func hasValidEscapes(_ bytes: RawSpan, _ range: Range<Int>) -> Bool {
        var start = range.lowerBound
        while let sign = bytes.first(UInt8(ascii: "%"), from: start, to: range.upperBound) {
            guard sign + 2 < range.upperBound, Hex.value(bytes[byteAt: sign + 1]) != nil,
                Hex.value(bytes[byteAt: sign + 2]) != nil
            else {
                return false
            }
            start = sign + 3
        }
        return true
    }

    /// Whether the range is a host with an optional port (RFC 3986 section 3.2), without user
    /// information.
    static func isAuthority(_ bytes: RawSpan, _ range: Range<Int>) -> Bool {
        var offset = range.lowerBound
        if offset < range.upperBound, bytes[byteAt: offset] == UInt8(ascii: "[") {
            offset += 1
            while offset < range.upperBound, ByteSet.ipv6.contains(bytes[byteAt: offset]) {
                offset += 1
            }
            guard offset > range.lowerBound + 2, offset < range.upperBound,
                bytes[byteAt: offset] == UInt8(ascii: "]")
            else { return false }
            offset += 1
        } else {
            while offset < range.upperBound, ByteSet.host.contains(bytes[byteAt: offset]) {
                offset &+= 1
            }
            guard offset > range.lowerBound, Self.hasValidEscapes(bytes, range.lowerBound..<offset)
            else { return false }
        }
        guard offset < range.upperBound else { return true }
        guard bytes[byteAt: offset] == UInt8(ascii: ":"), range.upperBound - offset <= 6 else {
            return false
        }
        var port = 0
        for digit in offset + 1..<range.upperBound {
            guard isDigit(bytes[byteAt: digit]) else { return false }
            port = port * 10 + Int(bytes[byteAt: digit] &- 0x30)
        }
        return port <= 65_535
    }

    /// Applies the framing fields to this request.
    mutating func apply(_ framing: HTTPFraming, _ bytes: RawSpan) throws(HTTPError) {
        guard framing.hostCount == 1 || framing.hostCount == 0 && self.version == .http10 else {
            throw .badRequest("The request must have exactly one Host field.")
        }
        // A proxy in front may have checked the other one.
        guard framing.originCount <= 1 else {
            throw .badRequest("The request must have at most one Origin field.")
        }
        if let host = framing.host {
            guard Self.isAuthority(bytes, host) else {
                throw .badRequest("The Host field is malformed.")
            }
            // The target takes precedence over the Host field (RFC 9112 section 3.2.2).
            if self.authority == nil { self.authority = host }
        }
        if framing.isChunked {
            guard self.version == .http11 else {
                throw .badRequest("HTTP/1.0 knows no Transfer-Encoding.")
            }
            self.body = .chunked
        } else {
            self.body = .bytes(framing.contentLength ?? 0)
        }
        self.keepsAlive = self.version == .http11 && !framing.closes
        self.expectsContinue = false
        if self.version == .http11 {
            guard !framing.expectsOther else {
                throw HTTPError(
                    .expectationFailed, "The Expect field may only ask for 100-continue.")
            }
            self.expectsContinue = framing.expectsContinue && self.body != .bytes(0)
        }
    }
}

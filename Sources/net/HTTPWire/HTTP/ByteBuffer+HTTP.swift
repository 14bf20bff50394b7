public import Bytes

/// The properties of a request that its response depends on, and the date.
public struct HTTPResponseContext: Sendable, Hashable {
    /// Whether the response answers a HEAD request. Its body is omitted, but its length is not.
    public var answersHead: Bool
    public var keepsAlive: Bool
    public var date: HTTPDate

    public init(answersHead isHead: Bool, keepsAlive: Bool, date: HTTPDate) {
        self.answersHead = isHead
        self.keepsAlive = keepsAlive
        self.date = date
    }

    /// - Parameter willClose: whether the connection ends even if the client would keep it: after
    ///   an error in the head, or at shutdown.
    public init(_ head: HTTPRequestHead, date: HTTPDate, willClose: Bool = false) {
        self.init(
            answersHead: head.method == .head, keepsAlive: head.keepsAlive && !willClose, date: date
        )
    }
}

extension ByteBuffer {
    /// Appends a complete response with its body (RFC 9112 section 4). Every response forbids
    /// browsers to guess another type of content (https://fetch.spec.whatwg.org/#nosniff).
    ///
    /// - Parameter contentType: omitted if there is no body.
    public mutating func append(
        httpResponse status: HTTPStatus, _ context: HTTPResponseContext,
        contentType: StaticString = "application/json",
        fields: [HTTPField] = [],
        body: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
        self.append(httpStatusLine: status)
        self.append("Date: ")
        self.append(text: context.date.text)
        self.append("\r\nX-Content-Type-Options: nosniff\r\n")
        if !body.isEmpty {
            self.append("Content-Type: ")
            self.append(contentType)
            self.append("\r\n")
        }
        if !status.hasNoBody {
            self.append("Content-Length: ")
            self.append(decimal: body.count)
            self.append("\r\n")
        }
        if !context.keepsAlive { self.append("Connection: close\r\n") }
        for field in fields { self.append(httpField: field) }
        self.append("\r\n")
        if !context.answersHead, !status.hasNoBody { self.append(contentsOf: body) }
    }

    /// Appends a complete response with its body.
    public mutating func append(
        httpResponse status: HTTPStatus, _ context: HTTPResponseContext,
        contentType: StaticString = "application/json",
        fields: [HTTPField] = [],
        body: [UInt8]
    ) {
        body.withUnsafeBytes {
            self.append(
                httpResponse: status, context, contentType: contentType, fields: fields, body: $0)
        }
    }

    /// Appends an error response with the body `{"error":"…"}`.
    public mutating func append(httpError error: HTTPError, _ context: HTTPResponseContext) {
        var body = ByteBuffer(capacity: error.message.utf8.count + 16)
        body.append("{\"error\":\"")
        for byte in error.message.utf8 {
            // Escapes quotes and backslashes. Control characters, which can come from a request,
            // become spaces.
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                body.append(UInt8(ascii: "\\"))
                body.append(byte)
            default:
                body.append(byte < 0x20 ? UInt8(ascii: " ") : byte)
            }
        }
        body.append("\"}")
        self.append(httpResponse: error.status, context, fields: error.fields, body: body.bytes)
    }

    /// Appends the interim response for a client that sent `Expect: 100-continue`.
    public mutating func appendHTTPContinue() {
        self.append("HTTP/1.1 100 Continue\r\n\r\n")
    }

    /// Appends the head and the body of a request (RFC 9112 section 3). `Content-Length` is written
    /// if there is a body, and always with POST, PUT and PATCH.
    ///
    /// - Parameters:
    ///   - method: in capitals.
    ///   - target: a path with its query, percent-encoded.
    ///   - host: with the port, unless it is the default port of the scheme.
    public mutating func append(
        httpRequest method: StaticString, target: String, host: String, fields: [HTTPField] = [],
        body: [UInt8] = []
    ) {
        self.append(method)
        self.append(UInt8(ascii: " "))
        self.append(headText: target)
        self.append(" HTTP/1.1\r\nHost: ")
        self.append(headText: host)
        self.append("\r\n")
        for field in fields { self.append(httpField: field) }
        if !body.isEmpty || ["POST", "PUT", "PATCH"].contains(method.description) {
            self.append("Content-Length: ")
            self.append(decimal: body.count)
            self.append("\r\n")
        }
        self.append("\r\n")
        self.append(contentsOf: body)
    }

    mutating func append(httpStatusLine status: HTTPStatus) {
        self.append("HTTP/1.1 ")
        self.append(decimal: status.rawValue)
        self.append(UInt8(ascii: " "))
        self.append(status.phrase)
        self.append("\r\n")
    }

    mutating func append(httpField field: HTTPField) {
        self.append(headText: field.name)
        self.append(": ")
        self.append(headText: field.value)
        self.append("\r\n")
    }

    /// Replaces control characters with spaces. A line break in a value would allow a client to
    /// inject header fields.
    private mutating func append(headText text: String) {
        for byte in text.utf8 {
            self.append(byte < 0x20 || byte == 0x7F ? UInt8(ascii: " ") : byte)
        }
    }
}

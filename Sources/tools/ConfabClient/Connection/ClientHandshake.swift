public import Bytes
public import HTTPWire
internal import JSON

/// The WebSocket handshake of a client: the request and the response. A rejection carries the
/// server's reason.
public struct ClientHandshake: Sendable {
    private enum State: Sendable {
        case head(HTTPResponseParser)
        /// The server has rejected the handshake, and the body is being read.
        case refusal(Refusal, HTTPBodyDecoder, body: ByteBuffer)
    }

    /// A rejection without its reason, which is in the body.
    private struct Refusal: Sendable {
        let status: HTTPStatus
        /// The value of `Retry-After` in seconds; nil without one, and for a date.
        let retryAfter: Int?

        func error(_ reason: String?) -> ClientError {
            self.retryAfter.map {
                .unavailable(self.status, reason: reason, retryAfterSeconds: $0)
            } ?? .refused(self.status, reason: reason)
        }
    }

    private let opening: WebSocketClientHandshake
    private let url: WebSocketURL
    private let fields: [HTTPField]
    private var state = State.head(HTTPResponseParser())

    /// The longest body that is read.
    private static let refusalByteLimit = 16 << 10
    /// The most bytes of informational responses before the final one.
    private static let informationalByteLimit = 16 << 10
    private var informationalBytes = 0

    /// - Parameter fields: additional request fields, such as `Authorization`.
    public init(
        to url: WebSocketURL, fields: [HTTPField] = [],
        using random: inout some RandomNumberGenerator
    ) {
        self.opening = WebSocketClientHandshake(using: &random)
        self.url = url
        self.fields = fields
    }

    public func appendRequest(to buffer: inout ByteBuffer) {
        self.opening.appendRequest(
            to: &buffer, target: self.url.target, host: self.url.hostField, fields: self.fields)
    }

    /// The state of the handshake after the bytes so far.
    public enum Progress: Sendable, Equatable {
        /// More bytes are needed. The next call must repeat these, except the first `consumed` of
        /// them.
        case more(consumed: Int)
        /// The WebSocket is open. Frames follow the first `consumed` bytes.
        case open(consumed: Int)
    }

    /// Reads the response, from the first byte that was not consumed.
    public mutating func receive(_ bytes: RawSpan) throws(ClientError) -> Progress {
        switch self.state {
        case .head(var parser):
            var head = HTTPResponseHead()
            do throws(HTTPResponseError) {
                guard try parser.parse(bytes, into: &head) else {
                    self.state = .head(parser)
                    return .more(consumed: 0)
                }
                if head.status == .switchingProtocols {
                    _ = try self.opening.verify(head, in: bytes)
                    return .open(consumed: head.byteCount)
                }
            } catch {
                throw .handshake(error)
            }
            if 100...199 ~= head.status.rawValue { return try self.skip(head, in: bytes) }
            let refusal = Refusal(
                status: head.status, retryAfter: Self.retryAfter(head, in: bytes))
            guard let decoder = try? HTTPBodyDecoder(head.body, byteLimit: Self.refusalByteLimit)
            else {
                throw refusal.error(nil)
            }
            self.state = .refusal(refusal, decoder, body: ByteBuffer())
            let rest = bytes.extracting(head.byteCount..<bytes.byteCount)
            return .more(consumed: head.byteCount + (try self.readRefusal(rest)))
        case .refusal:
            return .more(consumed: try self.readRefusal(bytes))
        }
    }

    /// Skips an informational response. A proxy may send 103 before any response (RFC 8297).
    private mutating func skip(
        _ head: HTTPResponseHead, in bytes: RawSpan
    ) throws(ClientError) -> Progress {
        self.informationalBytes += head.byteCount
        guard self.informationalBytes <= Self.informationalByteLimit else {
            throw .refused(head.status, reason: "the server sends informational responses for ever")
        }
        self.state = .head(HTTPResponseParser())
        let rest = bytes.extracting(head.byteCount..<bytes.byteCount)
        return switch try self.receive(rest) {
        case .more(let consumed): .more(consumed: head.byteCount + consumed)
        case .open(let consumed): .open(consumed: head.byteCount + consumed)
        }
    }

    /// The error for a connection that ended before the response was complete.
    public func ended() -> ClientError {
        switch self.state {
        case .head: .broken(reason: "the server closed it before it answered")
        case .refusal(let refusal, _, let body): refusal.error(Self.errorMessage(in: body))
        }
    }

    private static func retryAfter(_ head: HTTPResponseHead, in bytes: RawSpan) -> Int? {
        head.fields.text("retry-after", in: bytes).flatMap { Int($0) }.flatMap {
            $0 >= 0 ? $0 : nil
        }
    }

    /// Throws the rejection once its body is complete. Returns how many bytes were consumed before
    /// that.
    private mutating func readRefusal(_ bytes: RawSpan) throws(ClientError) -> Int {
        guard case .refusal(let refusal, var decoder, var body) = self.state else { return 0 }
        guard let count = try? decoder.decode(bytes, into: &body) else {
            throw refusal.error(Self.errorMessage(in: body))
        }
        guard !decoder.isComplete else {
            throw refusal.error(Self.errorMessage(in: body))
        }
        self.state = .refusal(refusal, decoder, body: body)
        return count
    }

    /// Confab's servers send `{"error":"…"}`. Returns nil for any other body.
    private static func errorMessage(in body: ByteBuffer) -> String? {
        guard let tree = try? JSONTree(parsing: body.bytes.span.bytes) else { return nil }
        return (tree["error"] ?? tree["message"])?.stringValue.flatMap {
            $0.isEmpty ? nil : SafeText.line($0, limit: 500)
        }
    }
}

public import Bytes
internal import JSON

/// The response to a rejected request: `{"code":0…5,"message":"…"}`, as clients of Engine.IO v4
/// expect it.
///
/// The protocol defines the status 400. The codes and messages are those of the reference server,
/// because clients show them.
public struct EngineRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// The HTTP status.
    public let status: Int
    /// The reference server's code, 0 to 5.
    public let code: Int
    /// The reference server's text.
    public let message: String

    private init(status: Int = 400, code: Int, _ message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    /// `transport` is missing or unsupported.
    public static let unknownTransport = EngineRefusal(code: 0, "Transport unknown")
    /// `sid` names a session that does not exist or has ended.
    public static let unknownSession = EngineRefusal(code: 1, "Session ID unknown")
    /// A request without `sid` that is not a GET.
    public static let badHandshakeMethod = EngineRefusal(code: 2, "Bad handshake method")
    /// A request that the session or its own query does not allow.
    public static let badRequest = EngineRefusal(code: 3, "Bad request")
    /// A request from an origin or a user without access.
    public static let forbidden = EngineRefusal(status: 403, code: 4, "Forbidden")
    /// The node accepts no further sessions at the moment.
    public static let unavailable = EngineRefusal(status: 503, code: 4, "Unavailable; come again")
    /// `EIO` is missing or not 4.
    public static let unsupportedVersion = EngineRefusal(code: 5, "Unsupported protocol version")
    /// A POST has more bytes than `maxPayload`, or more packets than the limit. The reference
    /// server sends only the status.
    public static let payloadTooLarge = EngineRefusal(status: 413, code: 3, "Payload too large")

    public var description: String { "\(self.message) (\(self.code))" }
}

extension ByteBuffer {
    /// Appends the body of the response, `application/json`.
    public mutating func append(engineRefusal refusal: EngineRefusal) {
        self.append(#"{"code":"#)
        self.append(decimal: refusal.code)
        self.append(#","message":"#)
        self.append(jsonString: refusal.message)
        self.append("}")
    }
}

public import Bytes
internal import JSON

/// A request's answer when it is refused: `{"code":0…5,"message":"…"}`, as clients of Engine.IO v4 know it.
///
/// The protocol lays down the status 400; the codes and their messages are those of the reference server, which clients show.
public struct EngineRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// The HTTP status.
    public let status: Int
    /// The reference server's number for the reason, 0 to 5.
    public let code: Int
    /// The reference server's words for the reason.
    public let message: String

    private init(status: Int = 400, code: Int, _ message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    /// `transport` is missing, or none that we have.
    public static let unknownTransport = EngineRefusal(code: 0, "Transport unknown")
    /// `sid` names no session, or one that is over.
    public static let unknownSession = EngineRefusal(code: 1, "Session ID unknown")
    /// A request without `sid` that is no GET.
    public static let badHandshakeMethod = EngineRefusal(code: 2, "Bad handshake method")
    /// A request that the session or its own query does not allow.
    public static let badRequest = EngineRefusal(code: 3, "Bad request")
    /// A request from an origin, or of somebody, that may not come in.
    public static let forbidden = EngineRefusal(status: 403, code: 4, "Forbidden")
    /// The node takes no other session at the moment.
    public static let unavailable = EngineRefusal(status: 503, code: 4, "Unavailable; come again")
    /// `EIO` is missing or not 4.
    public static let unsupportedVersion = EngineRefusal(code: 5, "Unsupported protocol version")
    /// A POST has more bytes than `maxPayload`, or more packets than we take at once. The reference server sends the status alone.
    public static let payloadTooLarge = EngineRefusal(status: 413, code: 3, "Payload too large")

    public var description: String { "\(self.message) (\(self.code))" }
}

extension ByteBuffer {
    /// The body of the answer, `application/json`.
    public mutating func append(engineRefusal refusal: EngineRefusal) {
        self.append(#"{"code":"#)
        self.append(decimal: refusal.code)
        self.append(#","message":"#)
        self.append(jsonString: refusal.message)
        self.append("}")
    }
}

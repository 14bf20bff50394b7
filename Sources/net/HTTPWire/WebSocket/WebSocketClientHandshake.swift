public import Bytes

/// The client's side of the opening handshake (RFC 6455 section 4.1).
public struct WebSocketClientHandshake: Sendable {
    private let key: String
    private let offersCompression: Bool
    private let subprotocols: [String]

    /// - Parameter offersCompression: whether to offer permessage-deflate.
    public init(
        offersCompression: Bool = false, subprotocols: [String] = [],
        using random: inout some RandomNumberGenerator
    ) {
        var nonce = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
        self.key = nonce.withUnsafeMutableBufferPointer { WebSocketUpgrade.base64($0) }
        self.offersCompression = offersCompression
        self.subprotocols = subprotocols
    }

    /// Appends the request.
    ///
    /// - Parameters:
    ///   - target: a path with its query, percent-encoded.
    ///   - host: with the port, unless it is the default port of the scheme.
    ///   - fields: additional fields, such as `Origin` and `Authorization`.
    public func appendRequest(
        to buffer: inout ByteBuffer, target: String, host: String, fields: [HTTPField] = []
    ) {
        var all = [
            HTTPField("Upgrade", "websocket"), HTTPField("Connection", "Upgrade"),
            HTTPField("Sec-WebSocket-Version", "13"),
            HTTPField("Sec-WebSocket-Key", self.key),
        ]
        if self.offersCompression {
            all.append(HTTPField("Sec-WebSocket-Extensions", CompressionNegotiation.clientOffer))
        }
        if !self.subprotocols.isEmpty {
            all.append(
                HTTPField("Sec-WebSocket-Protocol", self.subprotocols.joined(separator: ", ")))
        }
        buffer.append(httpRequest: "GET", target: target, host: host, fields: all + fields)
    }

    /// The negotiated parameters.
    public struct HandshakeResult: Sendable, Hashable {
        public let compresses: Bool
        public let subprotocol: String?
    }

    /// Verifies the server's response. The bytes after its head are frames.
    public func verify(_ head: HTTPResponseHead, in bytes: RawSpan) throws(HTTPResponseError)
        -> HandshakeResult
    {
        guard head.status == .switchingProtocols else {
            throw HTTPResponseError(
                "The server refuses the WebSocket with status \(head.status.rawValue).")
        }
        guard head.fields.contains("websocket", in: "upgrade", of: bytes),
            head.fields.contains("upgrade", in: "connection", of: bytes)
        else {
            throw HTTPResponseError("The server's response does not upgrade to a WebSocket.")
        }
        guard head.fields.count(of: "sec-websocket-accept", in: bytes) == 1,
            head.fields.text("sec-websocket-accept", in: bytes)
                == WebSocketUpgrade.acceptKey(for: self.key)
        else {
            throw HTTPResponseError("The server's Sec-WebSocket-Accept does not answer the key.")
        }

        var compresses = false
        if let extensions = head.fields.joined("sec-websocket-extensions", in: bytes) {
            guard self.offersCompression, CompressionNegotiation.isAcceptable(extensions) else {
                throw HTTPResponseError("The server answers with extensions that were not offered.")
            }
            compresses = true
        }
        let subprotocol = head.fields.joined("sec-websocket-protocol", in: bytes)
        if let subprotocol {
            guard self.subprotocols.contains(subprotocol) else {
                throw HTTPResponseError(
                    "The server answers with a subprotocol that was not offered.")
            }
        }
        return HandshakeResult(compresses: compresses, subprotocol: subprotocol)
    }
}

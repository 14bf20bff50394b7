public import Bytes
internal import COpenSSL

/// A valid request to open a WebSocket (RFC 6455 section 4.2.1).
public struct WebSocketUpgrade: Sendable {
    /// The subprotocols that the client offers, in its order.
    public let subprotocols: [String]
    /// Whether the client may compress its messages after a response that accepts compression.
    public var clientMayCompress: Bool { self.compression != nil }
    /// Whether the server may compress as well. False for a client that demands a smaller window
    /// than the `Deflater` uses.
    public var serverMayCompress: Bool { self.compression?.hasFullWindow == true }

    private let acceptKey: String
    private var compression: CompressionNegotiation.AgreedCompression?

    /// A copy without compression, regardless of the client's offer.
    public var uncompressed: WebSocketUpgrade {
        var upgrade = self
        upgrade.compression = nil
        return upgrade
    }

    /// Whether the request asks for a WebSocket, valid or not.
    public static func isRequested(by head: HTTPRequestHead, in bytes: RawSpan) -> Bool {
        head.fields.contains("websocket", in: "upgrade", of: bytes)
    }

    /// Throws 400, 405 or 426 if the request is not a valid WebSocket request.
    public init(_ head: HTTPRequestHead, in bytes: RawSpan) throws(HTTPError) {
        guard head.method == .get else { throw .methodNotAllowed("GET") }
        guard head.version == .http11 else { throw .badRequest("A WebSocket needs HTTP/1.1.") }
        guard Self.isRequested(by: head, in: bytes) else {
            throw Self.upgradeRequired(
                "This path is for WebSockets: the Upgrade field must name websocket.")
        }
        guard head.fields.contains("upgrade", in: "connection", of: bytes) else {
            throw .badRequest("The Connection field must name Upgrade.")
        }
        guard head.body == .bytes(0) else {
            throw .badRequest("A request for a WebSocket has no body.")
        }
        guard head.fields.count(of: "sec-websocket-version", in: bytes) == 1,
            let version = head.field("sec-websocket-version", in: bytes),
            bytes.matches("13", at: version)
        else { throw Self.upgradeRequired("Sec-WebSocket-Version must be 13.") }
        guard head.fields.count(of: "sec-websocket-key", in: bytes) == 1,
            let key = head.field("sec-websocket-key", in: bytes),
            Self.isKey(bytes, key)
        else { throw .badRequest("Sec-WebSocket-Key must be 16 bytes in Base64, once.") }

        var subprotocols: [String] = []
        if let list = head.fields.joined("sec-websocket-protocol", in: bytes) {
            for item in list.utf8.split(
                separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            {
                let item = item.drop(while: isBlank)
                let token = item.prefix { ByteSet.token.contains($0) }
                guard !token.isEmpty, item.dropFirst(token.count).allSatisfy(isBlank) else {
                    throw .badRequest("Sec-WebSocket-Protocol is malformed.")
                }
                subprotocols.append(String(decoding: token, as: UTF8.self))
            }
        }
        self.subprotocols = subprotocols
        self.compression = head.fields.joined("sec-websocket-extensions", in: bytes).flatMap {
            CompressionNegotiation.answer(to: $0)
        }
        self.acceptKey = Self.acceptKey(for: bytes.text(at: key))
    }

    private static func upgradeRequired(_ sentence: String) -> HTTPError {
        let fields = [
            HTTPField("Upgrade", "websocket"), HTTPField("Connection", "Upgrade"),
            HTTPField("Sec-WebSocket-Version", "13"),
        ]
        return HTTPError(.upgradeRequired, sentence, fields: fields)
    }

    /// 16 bytes are 22 characters and two padding characters.
    private static func isKey(_ bytes: RawSpan, _ range: Range<Int>) -> Bool {
        guard range.count == 24, bytes.matches("==", at: range.upperBound - 2..<range.upperBound)
        else { return false }
        return range.dropLast(2).allSatisfy {
            switch bytes[byteAt: $0] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
    }

    /// The response key, which proves that the server has understood the request (RFC 6455 section
    /// 4.2.2).
    static func acceptKey(for key: String) -> String {
        var text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        // Not OpenSSL's `SHA1`: it looks up the algorithm at every call, which costs more than the
        // hash.
        var hash = SHA_CTX()
        SHA1_Init(&hash)
        text.withUTF8 { _ = SHA1_Update(&hash, $0.baseAddress, $0.count) }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Int(SHA_DIGEST_LENGTH)) {
            digest in
            SHA1_Final(digest.baseAddress, &hash)
            return Self.base64(digest)
        }
    }

    /// Base64 with the standard alphabet and padding (RFC 4648 section 4).
    static func base64(_ bytes: UnsafeMutableBufferPointer<UInt8>) -> String {
        let length = (bytes.count + 2) / 3 * 4
        // OpenSSL writes a zero byte after the text.
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: length + 1) { text in
            EVP_EncodeBlock(text.baseAddress, bytes.baseAddress, Int32(bytes.count))
            return String(decoding: text[..<length], as: UTF8.self)
        }
    }

    /// Appends the response that switches the connection to WebSocket (RFC 6455 section 4.2.2).
    ///
    /// - Parameters:
    ///   - subprotocol: one of the offered subprotocols, or none.
    ///   - compresses: whether to accept compression if the client offers it.
    ///   - fields: additional fields, such as cookies.
    public func appendResponse(
        to buffer: inout ByteBuffer, subprotocol: String? = nil, compresses: Bool = true,
        fields: [HTTPField] = []
    ) {
        buffer.append(httpStatusLine: .switchingProtocols)
        buffer.append("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
        buffer.append(text: self.acceptKey)
        buffer.append("\r\n")
        if let subprotocol {
            buffer.append(httpField: HTTPField("Sec-WebSocket-Protocol", subprotocol))
        }
        if compresses, let compression {
            buffer.append(httpField: HTTPField("Sec-WebSocket-Extensions", compression.field))
        }
        for field in fields { buffer.append(httpField: field) }
        buffer.append("\r\n")
    }
}

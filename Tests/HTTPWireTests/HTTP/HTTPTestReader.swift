import Bytes
import HTTPWire

/// What a test looks at in a request that was read.
struct ParsedRequest: Equatable {
    var method: HTTPMethod
    var path: String
    var query: String?
    var authority: String?
    var fields: [String]
    var keepsAlive: Bool
    var body: String
}

/// A connection's reader with the bytes that a gateway would keep for it.
struct HTTPTestReader {
    private var parser = HTTPRequestParser()
    private var head = HTTPRequestHead()
    private var decoder: HTTPBodyDecoder?
    private var body = ByteBuffer()
    private(set) var unread: [UInt8] = []
    private(set) var requests: [ParsedRequest] = []
    var limits = HTTPLimits()
    var bodyLimit = 1 << 16

    mutating func receive(_ bytes: [UInt8]) throws(HTTPError) {
        self.unread += bytes
        while true {
            if self.decoder == nil {
                let kept = self.unread
                guard try self.parser.parse(kept.span.bytes, into: &self.head, limits: self.limits)
                else { return }
                self.recordRequest()
                self.unread.removeFirst(self.head.byteCount)
                self.decoder = try HTTPBodyDecoder(self.head.body, byteLimit: self.bodyLimit)
                self.body.removeAll()
            }
            guard var decoder = self.decoder else { return }
            let kept = self.unread
            let used = try decoder.decode(kept.span.bytes, into: &self.body)
            self.unread.removeFirst(used)
            self.decoder = decoder
            guard decoder.isComplete else { return }
            self.requests[self.requests.count - 1].body = self.body.text
            self.decoder = nil
            if self.unread.isEmpty { return }
        }
    }

    private mutating func recordRequest() {
        let kept = self.unread
        let bytes = kept.span.bytes
        let text = { (place: Range<Int>) in String(decoding: kept[place], as: UTF8.self) }
        var fields: [String] = []
        for name in ["host", "content-length", "transfer-encoding", "connection", "x-one", "x-two"]
            as [StaticString]
        {
            if let value = self.head.fields.text(name, in: bytes) {
                fields.append("\(name)=\(value)")
            }
        }
        self.requests.append(
            ParsedRequest(
                method: self.head.method, path: self.head.pathText(in: bytes),
                query: self.head.query.map(text),
                authority: self.head.authority.map(text), fields: fields,
                keepsAlive: self.head.keepsAlive, body: ""))
    }

    mutating func error(receiving pieces: some Sequence<[UInt8]>) -> HTTPError? {
        do {
            for piece in pieces { try self.receive(piece) }
            return nil
        } catch {
            return error
        }
    }
}

/// What is read of a text that comes at once; line ends are written out.
func parseRequests(_ text: String, limits: HTTPLimits = HTTPLimits()) -> Result<
    [ParsedRequest], HTTPError
> {
    var peer = HTTPTestReader()
    peer.limits = limits
    if let error = peer.error(receiving: [Array(text.utf8)]) { return .failure(error) }
    return .success(peer.requests)
}

/// The status with which a text is refused; nil when it is not.
func rejectionStatus(_ text: String, limits: HTTPLimits = HTTPLimits()) -> Int? {
    if case .failure(let error) = parseRequests(text, limits: limits) {
        error.status.rawValue
    } else {
        nil
    }
}

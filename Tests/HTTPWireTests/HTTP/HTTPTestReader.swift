import Bytes
import HTTPWire

/// The properties of a parsed request that tests compare.
struct ParsedRequest: Equatable {
    var method: HTTPMethod
    var path: String
    var query: String?
    var authority: String?
    var fields: [String]
    var keepsAlive: Bool
    var body: String
}

/// A parser of one connection, with the unread bytes that a gateway would keep for it.
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
                let unread = self.unread
                guard
                    try self.parser.parse(unread.span.bytes, into: &self.head, limits: self.limits)
                else { return }
                self.recordRequest()
                self.unread.removeFirst(self.head.byteCount)
                self.decoder = try HTTPBodyDecoder(self.head.body, byteLimit: self.bodyLimit)
                self.body.removeAll()
            }
            guard var decoder = self.decoder else { return }
            let unread = self.unread
            let used = try decoder.decode(unread.span.bytes, into: &self.body)
            self.unread.removeFirst(used)
            self.decoder = decoder
            guard decoder.isComplete else { return }
            self.requests[self.requests.count - 1].body = self.body.text
            self.decoder = nil
            if self.unread.isEmpty { return }
        }
    }

    private mutating func recordRequest() {
        let unread = self.unread
        let bytes = unread.span.bytes
        let text = { (range: Range<Int>) in String(decoding: unread[range], as: UTF8.self) }
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

/// Parses a text that arrives at once. It contains explicit line ends.
func parseRequests(_ text: String, limits: HTTPLimits = HTTPLimits()) -> Result<
    [ParsedRequest], HTTPError
> {
    var peer = HTTPTestReader()
    peer.limits = limits
    if let error = peer.error(receiving: [Array(text.utf8)]) { return .failure(error) }
    return .success(peer.requests)
}

/// The status with which the text is rejected. Nil if it is accepted.
func rejectionStatus(_ text: String, limits: HTTPLimits = HTTPLimits()) -> Int? {
    if case .failure(let error) = parseRequests(text, limits: limits) {
        error.status.rawValue
    } else {
        nil
    }
}

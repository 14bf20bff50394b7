import Bytes
import HTTPWire

/// What a test looks at in a request that was read.
struct ReadRequest: Equatable {
    var method: HTTPMethod
    var path: String
    var query: String?
    var authority: String?
    var fields: [String]
    var keepsAlive: Bool
    var body: String
}

/// A connection's reader with the bytes that a gateway would keep for it.
struct HTTPPeer {
    private var parser = HTTPRequestParser()
    private var head = HTTPRequestHead()
    private var decoder: HTTPBodyDecoder?
    private var body = ByteBuffer()
    private(set) var kept: [UInt8] = []
    private(set) var read: [ReadRequest] = []
    var limits = HTTPLimits()
    var bodyLimit = 1 << 16

    mutating func receive(_ bytes: [UInt8]) throws(HTTPError) {
        self.kept += bytes
        while true {
            if self.decoder == nil {
                let kept = self.kept
                guard try self.parser.parse(kept.span.bytes, into: &self.head, limits: self.limits) else { return }
                self.note()
                self.kept.removeFirst(self.head.byteCount)
                self.decoder = try HTTPBodyDecoder(self.head.body, byteLimit: self.bodyLimit)
                self.body.removeAll()
            }
            guard var decoder = self.decoder else { return }
            let kept = self.kept
            let used = try decoder.decode(kept.span.bytes, into: &self.body)
            self.kept.removeFirst(used)
            self.decoder = decoder
            guard decoder.isComplete else { return }
            self.read[self.read.count - 1].body = self.body.text
            self.decoder = nil
            if self.kept.isEmpty { return }
        }
    }

    private mutating func note() {
        let kept = self.kept
        let bytes = kept.span.bytes
        let text = { (place: Range<Int>) in String(decoding: kept[place], as: UTF8.self) }
        var fields: [String] = []
        for name in ["host", "content-length", "transfer-encoding", "connection", "x-one", "x-two"] as [StaticString] {
            if let value = self.head.fields.text(name, in: bytes) { fields.append("\(name)=\(value)") }
        }
        self.read.append(
            ReadRequest(
                method: self.head.method, path: self.head.pathText(in: bytes), query: self.head.query.map(text),
                authority: self.head.authority.map(text), fields: fields, keepsAlive: self.head.keepsAlive, body: ""))
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
func readAll(_ text: String, limits: HTTPLimits = HTTPLimits()) -> Result<[ReadRequest], HTTPError> {
    var peer = HTTPPeer()
    peer.limits = limits
    if let error = peer.error(receiving: [Array(text.utf8)]) { return .failure(error) }
    return .success(peer.read)
}

/// The status with which a text is refused; nil when it is not.
func refusal(_ text: String, limits: HTTPLimits = HTTPLimits()) -> Int? {
    if case .failure(let error) = readAll(text, limits: limits) { error.status.rawValue } else { nil }
}

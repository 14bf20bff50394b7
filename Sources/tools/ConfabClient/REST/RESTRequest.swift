import Bytes
import JSON

/// A request to the REST API.
struct RESTRequest: Sendable {
    let method: String
    /// Below `/api`; percent-encoded.
    private let path: String
    private var query: [String] = []
    private let body: JSONTree?
    let needsToken: Bool

    init(_ method: String, _ path: String, _ body: JSONTree? = nil, needsToken: Bool = true) {
        self.method = method
        self.path = path
        self.body = body
        self.needsToken = needsToken
    }

    /// A request for a conversation.
    init(
        _ method: String, of conversation: String, _ parts: [String] = [], _ body: JSONTree? = nil
    ) {
        let path = (["conversations", conversation] + parts).map {
            "/" + PercentEncoding.encode($0)
        }
        self.init(method, path.joined(), body)
    }

    /// Adds a query parameter, unless it is nil.
    func setting(_ name: String, to value: String?) -> RESTRequest {
        guard let value else { return self }
        var request = self
        request.query.append("\(name)=\(PercentEncoding.encode(value))")
        return request
    }

    /// - Parameter server: any URL of the server; its query is ignored.
    func bytes(to server: ChatURL, token: String?) -> [UInt8] {
        let url = server.url("/api\(self.path)")
        let query = self.query.isEmpty ? "" : "?" + self.query.joined(separator: "&")
        var lines = [
            "\(self.method) \(url.path)\(query) HTTP/1.1", "Host: \(url.hostField)",
            "Accept: application/json", "User-Agent: confab-swift", "Connection: close",
        ]
        // In a header field and not in the URL, because proxies log URLs.
        if let token { lines.append("Authorization: Bearer \(token)") }
        var body: [UInt8] = []
        if let tree = self.body {
            body = Array(tree.text.utf8)
            lines.append("Content-Type: application/json")
            lines.append("Content-Length: \(body.count)")
        }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
    }
}

extension JSONTree {
    /// An object without the members whose value is nil.
    static func object(given members: [(String, JSONTree?)]) -> JSONTree {
        .object(members.compactMap { name, value in value.map { ObjectMember(name, $0) } })
    }
}

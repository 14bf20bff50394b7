import Bytes
import Configuration
import HTTPClient
import HTTPWire
import JSON

/// Why a node returned no document.
enum AdminProblem: Error, Equatable {
    /// No answer, or not the answer of a node.
    case noAnswer(String)
    case rejected(status: Int, String)

    var message: String {
        switch self {
        case .noAnswer(let message), .rejected(_, let message): message
        }
    }

    /// 1 if the node rejected the request, 3 if it could not answer.
    var exitStatus: Int32 {
        switch self {
        case .noAnswer: 3
        case .rejected(let status, _): status >= 500 ? 3 : 1
        }
    }
}

/// Sends requests to a node's admin listener, one at a time, and blocks until the answer.
struct AdminConnection {
    private static let connectLimit = Duration.seconds(2)
    /// A node waits 2 seconds for other nodes, and up to 7 for the store.
    private static let answerLimit = Duration.seconds(20)
    private static let byteLimit = 64 << 20

    private let url: String
    private let host: String
    private let port: String
    private let client: BlockingHTTPClient
    private let token: String?

    /// - Parameter url: must have passed the command line's check.
    init(_ url: String, token: String?) {
        let authority = url.dropFirst("http://".count).prefix { $0 != "/" }
        let parts = HostPort(authority)
        let port = parts?.portText ?? ""
        self.url = url
        self.token = token
        self.host = String(parts?.host ?? authority)
        self.port = port.isEmpty ? "80" : String(port)
        self.client = BlockingHTTPClient(to: self.host, port: self.port)
    }

    /// Checks that a server answers. Any answer counts.
    func probe(within limit: Duration) throws(AdminProblem) {
        do throws(BlockingHTTPClient.RequestFailure) {
            _ = try self.exchange(
                "HEAD / HTTP/1.1\r\nHost: \(self.client.hostField)\r\nConnection: close\r\n\r\n",
                HTTPResponseReader(byteLimit: Self.byteLimit, answersHead: true), within: limit)
        } catch {
            if case .answer(.malformed) = error { return }
            throw self.problem(error, limit: limit)
        }
    }

    /// Without a token, uses the one that a node on this machine names.
    func send(_ method: String, _ path: String, _ body: JSONTree?) throws(AdminProblem)
        -> JSONTree
    {
        let response = try self.response(to: method, path, body, self.token)
        guard self.token == nil, let file = self.tokenFile(in: response) else {
            return try self.document(response)
        }
        guard let port = UInt16(self.port), let token = LocalToken.read(file, namedBy: port) else {
            throw .rejected(
                status: 401,
                """
                \(self.url): the node requires its token, which is in \(file); this user cannot \
                read it. Run the command as the user of the node or as root, or set \
                --admin-token-file
                """)
        }
        return try self.document(try self.response(to: method, path, body, token))
    }

    /// The file that a 401 names, if the node is on this machine.
    private func tokenFile(in response: HTTPClientResponse) -> String? {
        guard self.host == "localhost" || IPAddress(self.host)?.isLoopback == true,
            response.status == 401
        else { return nil }
        return response.field("confab-token-file").flatMap { PercentEncoding.decode($0.utf8) }
    }

    private func response(
        to method: String, _ path: String, _ body: JSONTree?, _ token: String?
    ) throws(AdminProblem) -> HTTPClientResponse {
        var request =
            """
            \(method) /api/cluster/\(path) HTTP/1.1\r
            Host: \(self.client.hostField)\r
            Connection: close\r\n
            """
        if let token { request += "Authorization: Bearer \(token)\r\n" }
        let text = body?.text ?? ""
        if body != nil {
            request += "Content-Type: application/json\r\nContent-Length: \(text.utf8.count)\r\n"
        }
        do throws(BlockingHTTPClient.RequestFailure) {
            return try self.exchange(
                request + "\r\n" + text, HTTPResponseReader(byteLimit: Self.byteLimit),
                within: Self.answerLimit)
        } catch {
            throw self.problem(error, limit: Self.answerLimit)
        }
    }

    private func exchange(_ request: String, _ reader: HTTPResponseReader, within limit: Duration)
        throws(BlockingHTTPClient.RequestFailure) -> HTTPClientResponse
    {
        try self.client.send(
            Array(request.utf8), reading: reader, connectLimit: min(limit, Self.connectLimit),
            waitLimit: .each(limit))
    }

    private func problem(_ failure: BlockingHTTPClient.RequestFailure, limit: Duration)
        -> AdminProblem
    {
        let reason =
            switch failure {
            case .broken(let reason): reason
            case .tls(let error): "\(error)"
            case .timeout:
                "no answer within \(OperatorText.decimal(limit / .seconds(1))) seconds"
            case .answer(.missing): "the connection ended without an answer"
            case .answer(.tooLong): "the response is too long"
            case .answer(.malformed): "the response is not from a node"
            }
        return .noAnswer("\(self.url): \(reason)")
    }

    private func document(_ response: HTTPClientResponse) throws(AdminProblem) -> JSONTree {
        let tree = try? JSONTree(parsing: response.body.span.bytes, valueLimit: 4 << 20)
        guard response.status == 200 else {
            throw .rejected(
                status: response.status,
                tree?["error"]?.stringValue
                    ?? "\(self.url): responded with status \(response.status)")
        }
        guard let tree, tree["schema_version"] != nil else {
            throw .noAnswer("\(self.url): the response is not from a node")
        }
        return tree
    }
}

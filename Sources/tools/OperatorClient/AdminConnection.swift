import Bytes
import Configuration
import Glibc
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
    private static let headLimit = 16_384

    private let url: String
    private let host: String
    private let port: String
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
    }

    /// Checks that a server answers. Any answer counts.
    func probe(within limit: Duration) throws(AdminProblem) {
        let name = HostPort.bracketed(self.host)
        _ = try self.exchange(
            Array(
                "HEAD / HTTP/1.1\r\nHost: \(name):\(self.port)\r\nConnection: close\r\n\r\n".utf8),
            within: limit)
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
    private func tokenFile(in response: [UInt8]) -> String? {
        guard self.host == "localhost" || IPAddress(self.host)?.isLoopback == true,
            let (status, _) = Self.split(response), status == 401
        else { return nil }
        for line in String(decoding: response.prefix(Self.headLimit), as: UTF8.self).split(
            separator: "\r\n")
        {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "confab-token-file" else { continue }
            return PercentEncoding.decode(parts[1].drop { $0 == " " }.utf8)
        }
        return nil
    }

    private func response(
        to method: String, _ path: String, _ body: JSONTree?, _ token: String?
    ) throws(AdminProblem) -> [UInt8] {
        let name = HostPort.bracketed(self.host)
        var request =
            """
            \(method) /api/cluster/\(path) HTTP/1.1\r\nHost: \(name):\(self.port)\r\nConnection: \
            close\r\n
            """
        if let token { request += "Authorization: Bearer \(token)\r\n" }
        let text = body?.text ?? ""
        if body != nil {
            request += "Content-Type: application/json\r\nContent-Length: \(text.utf8.count)\r\n"
        }
        return try self.exchange(
            Array((request + "\r\n" + text).utf8), within: Self.answerLimit)
    }

    /// The status code and the body of a response; nil if the response has another form.
    static func split(_ response: [UInt8]) -> (status: Int, body: [UInt8])? {
        let separator: [UInt8] = [13, 10, 13, 10]
        let end = response.indices.first {
            $0 + 4 <= response.count && response[$0..<$0 + 4].elementsEqual(separator)
        }
        guard let end, response.starts(with: "HTTP/1.".utf8),
            let status = Int(String(decoding: response.dropFirst(9).prefix(3), as: UTF8.self))
        else { return nil }
        return (status, Array(response[(end + 4)...]))
    }

    private func document(_ response: [UInt8]) throws(AdminProblem) -> JSONTree {
        guard let (status, body) = Self.split(response) else {
            throw .noAnswer("\(self.url): the response is not from a node")
        }
        let tree = try? JSONTree(parsing: body.span.bytes, valueLimit: 4 << 20)
        guard status == 200 else {
            throw .rejected(
                status: status,
                tree?["error"]?.stringValue ?? "\(self.url): responded with status \(status)")
        }
        guard let tree, tree["schema_version"] != nil else {
            throw .noAnswer("\(self.url): the response is not from a node")
        }
        return tree
    }

    // MARK: Sockets

    private func failure(_ reason: String) -> AdminProblem {
        .noAnswer("\(self.url): \(reason)")
    }

    private func exchange(_ request: [UInt8], within limit: Duration) throws(AdminProblem)
        -> [UInt8]
    {
        let socket = try self.connect(within: min(limit, Self.connectLimit))
        defer { close(socket) }
        let milliseconds = Int(limit / .milliseconds(1))
        var timeout = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
        setsockopt(
            socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(
            socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var sent = 0
        while sent < request.count {
            let count = request.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw self.failure(String(cString: strerror(errno))) }
            sent += count
        }
        var response: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(socket, &chunk, chunk.count, 0)
            if count == 0 {
                guard !response.isEmpty else {
                    throw self.failure("the connection ended without an answer")
                }
                return response
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw errno == EAGAIN
                    ? self.failure(
                        "no answer within \(OperatorText.decimal(limit / .seconds(1))) seconds")
                    : self.failure(String(cString: strerror(errno)))
            }
            response += chunk[..<count]
            guard response.count <= Self.byteLimit else {
                throw .noAnswer("\(self.url): the response is too long")
            }
        }
    }

    private func connect(within limit: Duration) throws(AdminProblem) -> Int32 {
        do throws(ConnectFailure) {
            let socket = try Self.open(
                self.host, self.port, milliseconds: Int32(limit / .milliseconds(1)))
            _ = fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) & ~O_NONBLOCK)
            return socket
        } catch {
            throw self.failure(error.reason)
        }
    }

    /// Why no address of a host could be connected to.
    struct ConnectFailure: Error {
        let reason: String
    }

    /// Connects to the first address of a host that accepts.
    ///
    /// - Parameter milliseconds: the time limit for each address.
    /// - Returns: a non-blocking socket.
    static func open(_ host: String, _ port: String, milliseconds: Int32) throws(ConnectFailure)
        -> Int32
    {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, port, &hints, &list)
        guard status == 0 else {
            throw ConnectFailure(reason: String(cString: gai_strerror(status)))
        }
        defer { freeaddrinfo(list) }
        var reason: Int32 = 0
        var next = list
        while let address = next?.pointee {
            next = address.ai_next
            let type =
                address.ai_socktype | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
            let socket = Glibc.socket(address.ai_family, type, address.ai_protocol)
            guard socket >= 0 else {
                reason = errno
                continue
            }
            reason = Self.connect(socket, address, milliseconds)
            if reason == 0 { return socket }
            close(socket)
        }
        throw ConnectFailure(reason: String(cString: strerror(reason)))
    }

    /// - Returns: the error number; 0 on success.
    private static func connect(_ socket: Int32, _ address: addrinfo, _ milliseconds: Int32)
        -> Int32
    {
        if Glibc.connect(socket, address.ai_addr, address.ai_addrlen) == 0 { return 0 }
        guard errno == EINPROGRESS else { return errno }
        var watched = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
        guard poll(&watched, 1, milliseconds) > 0 else { return ETIMEDOUT }
        var reason: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(socket, SOL_SOCKET, SO_ERROR, &reason, &size)
        return reason
    }
}

import Glibc
import JSON

/// Why a node gave no document.
enum AdminProblem: Error, Equatable {
    /// Nobody answered, or not as a node does.
    case noAnswer(String)
    case rejected(status: Int, String)

    var message: String {
        switch self {
        case .noAnswer(let sentence), .rejected(_, let sentence): sentence
        }
    }

    /// 1: it said no; 3: it could not say.
    var exitStatus: Int32 {
        switch self {
        case .noAnswer: 3
        case .rejected(let status, _): status >= 500 ? 3 : 1
        }
    }
}

/// Asks a node's admin listener, one request at a time, and waits: an operator's command has nothing else to do.
struct AdminConnection {
    private static let connectMilliseconds: Int32 = 3000
    /// A node asks others for two seconds, and stores for up to seven.
    private static let answerSeconds = 20
    private static let byteLimit = 64 << 20

    private let url: String
    private let host: String
    private let port: String
    private let token: String?

    /// - Parameter url: one that the command line has taken for an admin URL.
    init(_ url: String, token: String?) {
        let authority = String(url.dropFirst("http://".count).prefix { $0 != "/" })
        self.url = url
        self.token = token
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            self.host = String(authority[authority.index(after: authority.startIndex)..<end])
            let rest = authority[authority.index(after: end)...]
            self.port = rest.hasPrefix(":") && rest.count > 1 ? String(rest.dropFirst()) : "80"
        } else {
            let parts = authority.split(separator: ":", maxSplits: 1)
            self.host = String(parts.first ?? "")
            self.port = parts.count == 2 ? String(parts[1]) : "80"
        }
    }

    func get(_ path: String) throws(AdminProblem) -> JSONTree { try self.send("GET", path, nil) }

    func post(_ path: String, _ body: JSONTree) throws(AdminProblem) -> JSONTree {
        try self.send("POST", path, body)
    }

    private func send(_ method: String, _ path: String, _ body: JSONTree?) throws(AdminProblem)
        -> JSONTree
    {
        let name = self.host.contains(":") ? "[\(self.host)]" : self.host
        var request =
            "\(method) /api/cluster/\(path) HTTP/1.1\r\nHost: \(name):\(self.port)\r\nConnection: close\r\n"
        if let token = self.token { request += "Authorization: Bearer \(token)\r\n" }
        let text = body?.text ?? ""
        if body != nil {
            request += "Content-Type: application/json\r\nContent-Length: \(text.utf8.count)\r\n"
        }
        let response = try self.exchange(Array((request + "\r\n" + text).utf8))
        return try self.document(response)
    }

    private func document(_ response: [UInt8]) throws(AdminProblem) -> JSONTree {
        let separator: [UInt8] = [13, 10, 13, 10]
        let end = response.indices.first {
            $0 + 4 <= response.count && response[$0..<$0 + 4].elementsEqual(separator)
        }
        guard let end, response.starts(with: "HTTP/1.".utf8),
            let status = Int(String(decoding: response.dropFirst(9).prefix(3), as: UTF8.self))
        else { throw .noAnswer("\(self.url): what answers there is no node") }
        let body = Array(response[(end + 4)...])
        let tree = try? JSONTree(parsing: body.span.bytes, valueLimit: 4 << 20)
        guard status == 200 else {
            throw .rejected(
                status: status,
                tree?["error"]?.stringValue ?? "\(self.url): answers with status \(status)")
        }
        guard let tree, tree["schema_version"] != nil else {
            throw .noAnswer("\(self.url): what answers there is no node")
        }
        return tree
    }

    // MARK: Sockets

    private func failure(_ words: String) -> AdminProblem {
        .noAnswer("\(self.url): \(words); --admin names the admin listener of a node that runs")
    }

    private func exchange(_ request: [UInt8]) throws(AdminProblem) -> [UInt8] {
        let socket = try self.connect()
        defer { close(socket) }
        var patience = timeval(tv_sec: Self.answerSeconds, tv_usec: 0)
        setsockopt(
            socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(
            socket, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
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
            if count == 0 { return response }
            if count < 0 {
                if errno == EINTR { continue }
                throw errno == EAGAIN
                    ? self.failure("no answer within \(Self.answerSeconds) seconds")
                    : self.failure(String(cString: strerror(errno)))
            }
            response += chunk[..<count]
            guard response.count <= Self.byteLimit else {
                throw .noAnswer("\(self.url): the answer has no end")
            }
        }
    }

    private func connect() throws(AdminProblem) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let failed = getaddrinfo(self.host, self.port, &hints, &list)
        guard failed == 0 else { throw self.failure(String(cString: gai_strerror(failed))) }
        defer { freeaddrinfo(list) }
        var reason: Int32 = 0
        var next = list
        while let place = next?.pointee {
            next = place.ai_next
            let type =
                place.ai_socktype | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
            let socket = Glibc.socket(place.ai_family, type, place.ai_protocol)
            guard socket >= 0 else {
                reason = errno
                continue
            }
            reason = Self.connect(socket, place)
            if reason == 0 {
                _ = fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) & ~O_NONBLOCK)
                return socket
            }
            close(socket)
        }
        throw self.failure(String(cString: strerror(reason)))
    }

    /// - Returns: why it cannot be connected; 0 when it is.
    private static func connect(_ socket: Int32, _ place: addrinfo) -> Int32 {
        if Glibc.connect(socket, place.ai_addr, place.ai_addrlen) == 0 { return 0 }
        guard errno == EINPROGRESS else { return errno }
        var watched = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
        guard poll(&watched, 1, Self.connectMilliseconds) > 0 else { return ETIMEDOUT }
        var reason: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(socket, SOL_SOCKET, SO_ERROR, &reason, &size)
        return reason
    }
}

import Glibc
import TLS
import Testing

/// Two connected non-blocking stream sockets, closed together.
final class SocketPair {
    let client: Int32
    let server: Int32
    private var isClientOpen = true

    init(bufferBytes: Int32? = nil) {
        signal(SIGPIPE, SIG_IGN)
        var ends: [Int32] = [0, 0]
        // Not inherited: a program that another test starts would hold an end open after its close.
        precondition(
            socketpair(
                AF_UNIX,
                Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0,
                &ends) == 0)
        if var size = bufferBytes {
            for end in ends {
                setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
            }
        }
        (self.client, self.server) = (ends[0], ends[1])
    }

    deinit {
        self.closeClient()
        close(self.server)
    }

    func closeClient() {
        guard self.isClientOpen else { return }
        self.isClientOpen = false
        // shutdown(2) as well as close(2): a program that another test starts holds a copy of the
        // descriptor until its exec.
        shutdown(self.client, Int32(SHUT_RDWR))
        close(self.client)
    }

    /// Writes to the socket without TLS, as an attacker or a broken client does.
    func sendFromClient(_ bytes: [UInt8]) {
        precondition(write(self.client, bytes, bytes.count) == bytes.count)
    }

    func sendFromServer(_ bytes: [UInt8]) {
        precondition(write(self.server, bytes, bytes.count) == bytes.count)
    }

    /// The bytes that have arrived at the client's end, read without TLS.
    func receivedByClient() -> [UInt8] {
        Self.read(from: self.client, atMost: 1 << 16)
    }

    static func read(from descriptor: Int32, atMost limit: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = Glibc.read(descriptor, &bytes, limit)
        return Array(bytes.prefix(max(count, 0)))
    }
}

/// A server's and a client's connection, with the progress of both handshakes.
struct TLSPair {
    let server: TLSConnection
    let client: TLSConnection
    /// Kept open while the connections are used.
    private let socketPairs: [SocketPair]
    var serverProgress = TLSProgress.wantRead
    var clientProgress = TLSProgress.wantRead

    init(_ link: SocketPair, _ server: TLSContext, _ client: TLSContext, name: String = "localhost")
        throws
    {
        try self.init([link, link], server, client, name: name)
    }

    /// Connects the client to the first socket pair and the server to the second one. If they
    /// differ, the test copies the bytes between them.
    init(
        _ links: [SocketPair], _ server: TLSContext, _ client: TLSContext,
        name: String = "localhost"
    ) throws {
        self.client = try TLSConnection(connecting: links[0].client, to: name, client)
        self.server = try TLSConnection(accepting: links[1].server, server)
        self.socketPairs = links
    }

    /// Continues both handshakes by turns until neither waits. `between` copies bytes if the
    /// connections use two socket pairs.
    mutating func performHandshake(rounds: Int = 20, between: () -> Void = {}) {
        for _ in 0..<rounds {
            if self.clientProgress.isWaiting { self.clientProgress = self.client.handshake() }
            between()
            if self.serverProgress.isWaiting { self.serverProgress = self.server.handshake() }
            between()
            if !self.clientProgress.isWaiting, !self.serverProgress.isWaiting { return }
        }
    }
}

extension TLSProgress {
    var isWaiting: Bool { self == .wantRead || self == .wantWrite }

    var error: TLSError? {
        if case .failed(let error) = self { error } else { nil }
    }
}

extension TLSConnection {
    /// One read of at most `limit` bytes.
    func receive(_ limit: Int = 1 << 16) -> (TLSResult, [UInt8]) {
        var bytes = [UInt8](repeating: 0, count: limit)
        let result = bytes.withUnsafeMutableBytes { self.read(into: $0) }
        if case .bytes(let count) = result { return (result, Array(bytes.prefix(count))) }
        return (result, [])
    }

    /// One write.
    func send(_ bytes: some Collection<UInt8>) -> TLSResult {
        Array(bytes).withUnsafeBytes { self.write($0) }
    }
}

extension TLSResult {
    var error: TLSError? {
        if case .failed(let error) = self { error } else { nil }
    }
}

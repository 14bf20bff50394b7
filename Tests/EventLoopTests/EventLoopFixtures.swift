import EventLoop
import Glibc
import Synchronization
import Testing

/// A handler made of closures, so that each test defines what happens on the loop.
final class ClosureHandler: EventLoopHandler {
    let onSocketReady: @Sendable (SocketToken, _ readable: Bool, _ writable: Bool) -> Void
    let onPeerClosed: @Sendable (SocketToken) -> Void
    let onMessages: @Sendable () -> Void
    let onTurnEnding: @Sendable () -> Void
    let onTick: @Sendable (MonotonicTime) -> Void
    let onLoopStopping: @Sendable () -> Void

    init(
        onSocketReady ready: @escaping @Sendable (SocketToken, Bool, Bool) -> Void = { _, _, _ in },
        onPeerClosed closed: @escaping @Sendable (SocketToken) -> Void = { _ in },
        onMessages mail: @escaping @Sendable () -> Void = {},
        onTurnEnding ending: @escaping @Sendable () -> Void = {},
        onTick ticked: @escaping @Sendable (MonotonicTime) -> Void = { _ in },
        onLoopStopping stopping: @escaping @Sendable () -> Void = {}
    ) {
        self.onSocketReady = ready
        self.onPeerClosed = closed
        self.onMessages = mail
        self.onTurnEnding = ending
        self.onTick = ticked
        self.onLoopStopping = stopping
    }

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        self.onSocketReady(token, readable, writable)
    }
    func peerClosed(_ token: SocketToken) { self.onPeerClosed(token) }
    func messagesWaiting() { self.onMessages() }
    func turnEnding() { self.onTurnEnding() }
    func tick(now: MonotonicTime) { self.onTick(now) }
    func loopStopping() { self.onLoopStopping() }
}

/// Recorded entries in order, from any thread. A test awaits them without a clock.
final class EventLog<Entry: Sendable>: Sendable {
    private let stream: AsyncStream<Entry>
    private let continuation: AsyncStream<Entry>.Continuation

    init() {
        (self.stream, self.continuation) = AsyncStream.makeStream()
    }

    func record(_ entry: Entry) { self.continuation.yield(entry) }

    /// The next `count` entries.
    func next(_ count: Int) async -> [Entry] {
        var entries: [Entry] = []
        guard count > 0 else { return entries }
        for await entry in self.stream {
            entries.append(entry)
            if entries.count == count { break }
        }
        return entries
    }

    /// The next entry.
    func next() async -> Entry { await self.next(1)[0] }
}

/// A value that closures on a loop may change.
final class LockedValue<Value: Sendable>: Sendable {
    private let storage: Mutex<Value>
    init(_ value: Value) { self.storage = Mutex(value) }

    var value: Value {
        get { self.storage.withLock { $0 } }
        set { self.storage.withLock { $0 = newValue } }
    }

    func update(_ body: (inout Value) -> Void) {
        self.storage.withLock { value in body(&value) }
    }
}

actor PinnedActor {
    let loop: EventLoop
    private(set) var calls = 0

    init(on loop: EventLoop) { self.loop = loop }

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    func isOnLoop() -> Bool {
        self.calls += 1
        return self.loop.isCurrent
    }

    func spawn(_ body: @escaping @Sendable () -> Void) {
        Task {
            self.calls += 1
            body()
        }
    }
}

extension EventLoop {
    /// Runs `body` on the loop and returns its result.
    func run<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        let result: Result<R, any Error> = await withCheckedContinuation { continuation in
            self.execute { continuation.resume(returning: Result(catching: body)) }
        }
        return try result.get()
    }

    func stopAndJoin() {
        self.stop()
        self.join()
    }
}

/// Two connected non-blocking stream sockets.
func socketPair() -> (Socket, Socket) {
    var ends: [Int32] = [-1, -1]
    let made = socketpair(
        AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0,
        &ends)
    precondition(made == 0)
    return (Socket(descriptor: ends[0]), Socket(descriptor: ends[1]))
}

extension Socket {
    func write(_ bytes: [UInt8]) -> SocketResult {
        bytes.withUnsafeBytes { self.write($0) }
    }

    /// All available bytes, and whether the peer has ended the stream.
    func readAll() -> (bytes: [UInt8], ended: Bool) {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            switch buffer.withUnsafeMutableBytes({ self.read(into: $0) }) {
            case .bytes(let count): all += buffer[..<count]
            case .wouldBlock: return (all, false)
            case .endOfStream, .failed: return (all, true)
            }
        }
    }

    /// Blocks the test's thread until the socket is readable.
    func waitUntilReadable() {
        var watched = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
        poll(&watched, 1, -1)
    }
}

extension ListeningSocket {
    /// Ends listening, and closes the socket.
    ///
    /// A child process that another test starts has a copy of the socket until it executes its
    /// program. Closing does not end that copy, but shutdown(2) does.
    func stop() {
        shutdown(self.descriptor, Int32(SHUT_RDWR))
        self.socket.close()
    }
}

extension SocketAddress {
    /// Whether a process listens at the address.
    var acceptsConnections: Bool {
        guard let socket = try? Socket.connect(to: self) else { return false }
        defer { socket.close() }
        var watched = pollfd(fd: socket.descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&watched, 1, -1)
        return socket.connectError == nil
    }
}

import EventLoop
import Glibc
import Synchronization
import Testing

/// A handler that calls back, so that each test says for itself what happens on the loop.
final class Probe: EventLoopHandler {
    let ready: @Sendable (SocketToken, _ readable: Bool, _ writable: Bool) -> Void
    let mail: @Sendable () -> Void
    let ending: @Sendable () -> Void
    let ticked: @Sendable (MonotonicTime) -> Void
    let stopping: @Sendable () -> Void

    init(
        ready: @escaping @Sendable (SocketToken, Bool, Bool) -> Void = { _, _, _ in },
        mail: @escaping @Sendable () -> Void = {},
        ending: @escaping @Sendable () -> Void = {},
        ticked: @escaping @Sendable (MonotonicTime) -> Void = { _ in },
        stopping: @escaping @Sendable () -> Void = {}
    ) {
        self.ready = ready
        self.mail = mail
        self.ending = ending
        self.ticked = ticked
        self.stopping = stopping
    }

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) { self.ready(token, readable, writable) }
    func messagesWaiting() { self.mail() }
    func turnEnding() { self.ending() }
    func tick(now: MonotonicTime) { self.ticked(now) }
    func loopStopping() { self.stopping() }
}

/// What was noted, in order, by whatever thread; a test waits for it without a clock.
final class Log<Entry: Sendable>: Sendable {
    private let stream: AsyncStream<Entry>
    private let continuation: AsyncStream<Entry>.Continuation

    init() {
        (self.stream, self.continuation) = AsyncStream.makeStream()
    }

    func note(_ entry: Entry) { self.continuation.yield(entry) }

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
final class Box<Value: Sendable>: Sendable {
    private let storage: Mutex<Value>
    init(_ value: Value) { self.storage = Mutex(value) }

    var value: Value {
        get { self.storage.withLock { $0 } }
        set { self.storage.withLock { $0 = newValue } }
    }

    func change(_ body: (inout Value) -> Void) {
        self.storage.withLock { value in body(&value) }
    }
}

actor Pinned {
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
    /// What `body` answers, run on the loop.
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

/// Two ends of a non-blocking stream.
func socketPair() -> (Socket, Socket) {
    var ends: [Int32] = [-1, -1]
    let made = socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends)
    precondition(made == 0)
    return (Socket(descriptor: ends[0]), Socket(descriptor: ends[1]))
}

extension Socket {
    func write(_ bytes: [UInt8]) -> Transfer {
        bytes.withUnsafeBytes { self.write($0) }
    }

    /// Everything that is there, and whether the peer has ended.
    func readAll() -> (bytes: [UInt8], ended: Bool) {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            switch buffer.withUnsafeMutableBytes({ self.read(into: $0) }) {
            case .moved(let count): all += buffer[..<count]
            case .wouldBlock: return (all, false)
            case .ended, .failed: return (all, true)
            }
        }
    }

    /// Waits, on the test's thread, until the socket can be read.
    func waitUntilReadable() {
        var watched = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
        poll(&watched, 1, -1)
    }
}

extension SocketAddress {
    /// Whether somebody listens there.
    var takesConnections: Bool {
        guard let socket = try? Socket.connect(to: self) else { return false }
        defer { socket.close() }
        var watched = pollfd(fd: socket.descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&watched, 1, -1)
        return socket.connectError == nil
    }
}

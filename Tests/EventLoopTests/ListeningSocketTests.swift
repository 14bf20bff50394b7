import EventLoop
import Glibc
import TestTraits
import Testing

@Suite("A listening socket", .ownThread)
struct ListeningSocketTests {
    @Test("reports the real port and the peer's address", arguments: ["127.0.0.1", "::1"])
    func accept(host: String) throws {
        let listener = try ListeningSocket.open(host: host, port: 0)
        defer { listener.socket.close() }
        #expect(listener.address.port != 0)
        #expect(listener.address.host == host)
        #expect(listener.accept() == .wouldBlock)

        let client = try Socket.connect(to: listener.address)
        defer { client.close() }
        listener.socket.waitUntilReadable()
        guard case .accepted(let accepted, let peer) = listener.accept() else {
            Issue.record("no connection to accept")
            return
        }
        defer { accepted.close() }
        #expect(peer == client.localAddress)
        #expect(client.connectError == nil)
        accepted.setNoDelay()
        accepted.setUnsentLowWater()
        #expect(accepted.write([1, 2]) == .bytes(2))
        client.waitUntilReadable()
        #expect(client.readAll() == ([1, 2], false))
    }

    @Test("shares its address only with the sockets of its group")
    func conflict() throws {
        let group = try ListeningSocket.bindGroup(host: "127.0.0.1", port: 0, count: 3)
        try ListeningSocket.listen(with: group)
        let address = group[0].address
        #expect(Set(group.map(\.descriptor)).count == 3)
        #expect(group.allSatisfy { $0.address == address })

        #expect(throws: SocketError.addressInUse(address.text)) {
            try ListeningSocket.bindGroup(host: "127.0.0.1", port: address.port, count: 2)
        }
        #expect(
            "\(SocketError.addressInUse(address.text))"
                == "Cannot listen on \(address.text): the address is already in use.")
        for member in group { member.stop() }
        let again = try ListeningSocket.open(host: "127.0.0.1", port: address.port)
        #expect(again.address == address)
        again.socket.close()
    }

    @Test(
        "refuses connections until it listens; if two groups are bound, the first to listen wins"
    )
    func bindBeforeListen() throws {
        let group = try ListeningSocket.bindGroup(host: "127.0.0.1", port: 0, count: 2)
        let address = group[0].address
        #expect(!address.acceptsConnections)
        let other = try ListeningSocket.bindGroup(host: "127.0.0.1", port: address.port, count: 2)

        try ListeningSocket.listen(with: group)
        // Connections are accepted by the kernel before `accept` is called.
        #expect(address.acceptsConnections)
        #expect(throws: SocketError.addressInUse(address.text)) {
            try ListeningSocket.listen(with: other)
        }
        for member in group { member.socket.close() }
    }

    @Test("can be bound while connections of its port are in TIME_WAIT")
    func timeWait() throws {
        let first = try ListeningSocket.open(host: "127.0.0.1", port: 0)
        let client = try Socket.connect(to: first.address)
        first.socket.waitUntilReadable()
        guard case .accepted(let accepted, _) = first.accept() else {
            Issue.record("no connection to accept")
            return
        }
        // The side that closes first stays in TIME_WAIT, here on this port.
        accepted.close()
        first.stop()
        client.waitUntilReadable()
        client.close()

        let second = try ListeningSocket.open(host: "127.0.0.1", port: first.address.port)
        second.socket.close()
    }

    @Test("receives a free port while other threads start processes, which copy all descriptors")
    func freePort() {
        let isDone = LockedValue(false)
        PlainThread {
            let arguments: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
            defer { free(arguments[0]) }
            for _ in 0..<100 {
                var child = pid_t()
                if posix_spawn(&child, "/bin/true", nil, nil, arguments, environ) == 0 {
                    waitpid(child, nil, 0)
                }
            }
            isDone.value = true
        }.start()
        while !isDone.value {
            #expect(throws: Never.self) {
                try ListeningSocket.open(host: "127.0.0.1", port: 0).stop()
            }
        }
    }

    @Test("receives connections on every socket of a group")
    func sharedConnections() throws {
        let group = try ListeningSocket.bindGroup(host: "127.0.0.1", port: 0, count: 2)
        try ListeningSocket.listen(with: group)
        let clients = try (0..<64).map { _ in try Socket.connect(to: group[0].address) }
        var counts = [0, 0]
        while counts[0] + counts[1] < clients.count {
            for (index, member) in group.enumerated() {
                while case .accepted(let accepted, _) = member.accept() {
                    counts[index] += 1
                    accepted.close()
                }
            }
        }
        #expect(counts.allSatisfy { $0 > 0 })
        for client in clients { client.close() }
        for member in group { member.socket.close() }
    }

    @Test("reports why it cannot be opened")
    func failures() {
        #expect(throws: SocketError.addressNotAvailable("192.0.2.1:0")) {
            try ListeningSocket.open(host: "192.0.2.1", port: 0)
        }
        let error = #expect(throws: SocketError.self) {
            try ListeningSocket.open(host: "no such name", port: 0)
        }
        guard case .unresolvable(host: "no such name", _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("reports that the process has no descriptor left")
    func tooManyDescriptors() async throws {
        let listener = try ListeningSocket.open(host: "127.0.0.1", port: 0)
        let client = try Socket.connect(to: listener.address)
        listener.socket.waitUntilReadable()

        let outcome: ListeningSocket.AcceptResult? = await withCheckedContinuation { continuation in
            let thread = PlainThread {
                // This thread gets its own descriptor table, so filling it does not affect other
                // tests.
                guard let kept = PlainThread.isolateDescriptors(listener.descriptor) else {
                    return continuation.resume(returning: nil)
                }
                while dup(kept) >= 0 {}
                continuation.resume(returning: listener.accept())
            }
            thread.start()
        }
        #expect(outcome == .tooManyDescriptors)
        // The connection is still waiting.
        guard case .accepted(let accepted, _) = listener.accept() else {
            Issue.record("the connection was lost")
            return
        }
        for socket in [accepted, client, listener.socket] { socket.close() }
    }
}

@Suite("A connecting socket", .ownThread)
struct ConnectingSocketTests {
    @Test("becomes writable and reports that the connection was refused")
    func refused() async throws {
        let loop = try EventLoop.start(name: "connect")
        defer { loop.stopAndJoin() }
        let listener = try ListeningSocket.open(host: "127.0.0.1", port: 0)
        listener.stop()
        let log = EventLog<SocketError?>()
        loop.setHandler(
            ClosureHandler(onSocketReady: { token, _, _ in
                log.record(loop.socket(token)!.connectError)
                loop.close(token)
            }))

        let socket = try Socket.connect(to: listener.address)
        _ = try await loop.run { try loop.register(socket.descriptor, read: false, write: true) }
        #expect(await log.next() == .refused)
    }

    @Test("writes from several buffers in one call")
    func gatheredWrite() throws {
        let (near, far) = socketPair()
        var (one, two): ([UInt8], [UInt8]) = ([1, 2], [3])
        let moved = one.withUnsafeMutableBytes { first in
            two.withUnsafeMutableBytes { second in
                var vectors = [
                    iovec(iov_base: first.baseAddress, iov_len: first.count),
                    iovec(iov_base: second.baseAddress, iov_len: second.count),
                ]
                return vectors.withUnsafeMutableBufferPointer { near.write($0) }
            }
        }
        #expect(moved == .bytes(3))
        #expect(far.readAll().bytes == [1, 2, 3])
        // A child process that another test starts has a copy of the socket, which close(2) does
        // not end.
        shutdown(far.descriptor, Int32(SHUT_RDWR))
        far.close()
        #expect(near.write([1]) == .failed(EPIPE))
        near.close()
    }
}

/// A thread outside of all thread pools.
final class PlainThread: Sendable {
    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    func start() {
        var thread = pthread_t()
        let made = pthread_create(
            &thread, nil,
            {
                Unmanaged<PlainThread>.fromOpaque($0!).takeRetainedValue().body()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        precondition(made == 0)
        pthread_detach(thread)
    }

    /// Gives this thread its own descriptor table that contains only `descriptor`. A copy of
    /// another test's socket would keep that socket open. Uses unshare(2) with CLONE_FILES and
    /// close_range(2), which Swift's Glibc does not declare.
    static func isolateDescriptors(_ descriptor: Int32) -> Int32? {
        guard let unshare = dlsym(nil, "unshare"), let closeRange = dlsym(nil, "close_range") else {
            return nil
        }
        guard unsafeBitCast(unshare, to: (@convention(c) (Int32) -> Int32).self)(0x400) == 0 else {
            return nil
        }
        let close = unsafeBitCast(
            closeRange, to: (@convention(c) (UInt32, UInt32, Int32) -> Int32).self)
        if descriptor > 0 { _ = close(0, UInt32(descriptor) - 1, 0) }
        _ = close(UInt32(descriptor) + 1, .max, 0)
        return descriptor
    }
}

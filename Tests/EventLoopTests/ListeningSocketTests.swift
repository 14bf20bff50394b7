import EventLoop
import Glibc
import Testing

@Suite("A listening socket")
struct ListeningSocketTests {
    @Test("tells the real port, and who has come", arguments: ["127.0.0.1", "::1"])
    func accept(host: String) throws {
        let listener = try ListeningSocket.open(host: host, port: 0)
        defer { listener.socket.close() }
        #expect(listener.address.port != 0)
        #expect(listener.address.host == host)
        #expect(listener.accept() == .wouldBlock)

        let client = try Socket.connect(to: listener.address)
        defer { client.close() }
        listener.socket.waitUntilReadable()
        guard case .accepted(let served, let peer) = listener.accept() else {
            Issue.record("nobody to accept")
            return
        }
        defer { served.close() }
        #expect(peer == client.localAddress)
        #expect(client.connectError == nil)
        served.setNoDelay()
        served.setUnsentLowWater()
        #expect(served.write([1, 2]) == .bytes(2))
        client.waitUntilReadable()
        #expect(client.readAll() == ([1, 2], false))
    }

    @Test("shares its address with those of its group and with nobody else")
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
        for member in group { member.socket.close() }
        let again = try ListeningSocket.open(host: "127.0.0.1", port: address.port)
        #expect(again.address == address)
        again.socket.close()
    }

    @Test(
        "holds its address in silence until it is to listen; of two that hold the same, the first to listen has it"
    )
    func bindBeforeListen() throws {
        let group = try ListeningSocket.bindGroup(host: "127.0.0.1", port: 0, count: 2)
        let address = group[0].address
        #expect(!address.acceptsConnections)
        let other = try ListeningSocket.bindGroup(host: "127.0.0.1", port: address.port, count: 2)

        try ListeningSocket.listen(with: group)
        // Though nobody accepts yet.
        #expect(address.acceptsConnections)
        #expect(throws: SocketError.addressInUse(address.text)) {
            try ListeningSocket.listen(with: other)
        }
        for member in group { member.socket.close() }
    }

    @Test("can have the port of connections that still linger")
    func timeWait() throws {
        let first = try ListeningSocket.open(host: "127.0.0.1", port: 0)
        let client = try Socket.connect(to: first.address)
        first.socket.waitUntilReadable()
        guard case .accepted(let served, _) = first.accept() else {
            Issue.record("nobody to accept")
            return
        }
        // Whoever closes first is left in TIME_WAIT, on this port.
        served.close()
        first.socket.close()
        client.waitUntilReadable()
        client.close()

        let second = try ListeningSocket.open(host: "127.0.0.1", port: first.address.port)
        second.socket.close()
    }

    @Test("hears of connections on every socket of a group")
    func sharedConnections() throws {
        let group = try ListeningSocket.bindGroup(host: "127.0.0.1", port: 0, count: 2)
        try ListeningSocket.listen(with: group)
        let clients = try (0..<64).map { _ in try Socket.connect(to: group[0].address) }
        var counts = [0, 0]
        while counts[0] + counts[1] < clients.count {
            for (index, member) in group.enumerated() {
                while case .accepted(let served, _) = member.accept() {
                    counts[index] += 1
                    served.close()
                }
            }
        }
        #expect(counts.allSatisfy { $0 > 0 })
        for client in clients { client.close() }
        for member in group { member.socket.close() }
    }

    @Test("says why it cannot be opened")
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

    @Test("tells apart that this process has no descriptor left")
    func tooManyDescriptors() async throws {
        let listener = try ListeningSocket.open(host: "127.0.0.1", port: 0)
        let client = try Socket.connect(to: listener.address)
        listener.socket.waitUntilReadable()

        let outcome: ListeningSocket.AcceptResult? = await withCheckedContinuation { continuation in
            let thread = PlainThread {
                // A table of descriptors for this thread only: filling it takes them from no other test.
                guard let kept = PlainThread.isolateDescriptors(listener.descriptor) else {
                    return continuation.resume(returning: nil)
                }
                while dup(kept) >= 0 {}
                continuation.resume(returning: listener.accept())
            }
            thread.start()
        }
        #expect(outcome == .tooManyDescriptors)
        // The caller still waits.
        guard case .accepted(let served, _) = listener.accept() else {
            Issue.record("the connection was lost")
            return
        }
        for socket in [served, client, listener.socket] { socket.close() }
    }
}

@Suite("A connecting socket")
struct ConnectingSocketTests {
    @Test("becomes writable and says that nobody listens")
    func refused() async throws {
        let loop = try EventLoop.start(name: "connect")
        defer { loop.stopAndJoin() }
        let listener = try ListeningSocket.open(host: "127.0.0.1", port: 0)
        listener.socket.close()
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

    @Test("gets what does not fit in one piece from several places")
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
        far.close()
        #expect(near.write([1]) == .failed(EPIPE))
        near.close()
    }
}

/// A thread outside of every pool.
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

    /// Gives this thread a table of descriptors of its own, with only `descriptor` in it: a copy of another test's socket would
    /// keep that open. By unshare(2) with CLONE_FILES and close_range(2), which Swift's Glibc does not show.
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

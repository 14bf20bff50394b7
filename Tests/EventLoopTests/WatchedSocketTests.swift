import EventLoop
import Glibc
import TestTraits
import Testing

@Suite("A watched socket", .ownThread)
struct WatchedSocketTests {
    @Test("is reported when it can be read and when its peer has closed it")
    func readable() async throws {
        let loop = try EventLoop.start(name: "read")
        defer { loop.stopAndJoin() }
        let (near, far) = socketPair()
        let log = EventLog<(bytes: [UInt8], ended: Bool)>()
        loop.setHandler(
            ClosureHandler(onSocketReady: { token, _, _ in
                let read = loop.socket(token)!.readAll()
                log.record(read)
                if read.ended { loop.close(token) }
            }))
        _ = try await loop.run { try loop.register(near.descriptor) }

        #expect(far.write([1, 2, 3]) == .bytes(3))
        #expect(await log.next() == ([1, 2, 3], false))
        far.close()
        #expect(await log.next() == ([], true))
    }

    @Test("of an additional handler is reported only to it; turns end for the main handler first")
    func additionalHandler() async throws {
        let loop = try EventLoop.start(name: "guest")
        defer { loop.stopAndJoin() }
        let (near, far) = socketPair()
        let (main, other) = socketPair()
        let log = EventLog<String>()
        let turns = LockedValue<[String]>([])
        func handler(_ name: String) -> ClosureHandler {
            ClosureHandler(
                onSocketReady: { token, _, _ in
                    _ = loop.socket(token)!.readAll()
                    log.record(name)
                },
                onTurnEnding: { if turns.value.count < 100 { turns.value.append(name) } })
        }
        let additional = handler("guest")
        loop.setHandler(handler("handler"))
        try await loop.run {
            loop.registerHandler(additional)
            turns.value = []
            _ = try loop.register(near.descriptor, for: additional)
            _ = try loop.register(main.descriptor)
        }
        _ = far.write([1])
        #expect(await log.next() == "guest")
        _ = other.write([1])
        #expect(await log.next() == "handler")
        let order = try await loop.run { turns.value }
        #expect(order.count > 1 && order.count.isMultiple(of: 2))
        #expect(
            order.enumerated().allSatisfy { $1 == ($0.isMultiple(of: 2) ? "handler" : "guest") })
        far.close()
        other.close()
    }

    @Test("without an interest, is reported when its peer has closed it, even with unread input")
    func closedPeer() async throws {
        let loop = try EventLoop.start(name: "closed")
        defer { loop.stopAndJoin() }
        let (near, far) = socketPair()
        let (events, closed) = (EventLog<String>(), EventLog<SocketToken>())
        loop.setHandler(
            ClosureHandler(
                onSocketReady: { token, _, _ in
                    events.record("ready")
                    loop.setInterest(token, read: false, write: false)
                }, onPeerClosed: { closed.record($0) }))
        let token = try await loop.run { try loop.register(near.descriptor) }
        _ = far.write([1])
        #expect(await events.next() == "ready")
        shutdown(far.descriptor, Int32(SHUT_WR))
        #expect(await closed.next() == token)
        far.close()
    }

    @Test("is reported only for the events of its interest")
    func interest() async throws {
        let loop = try EventLoop.start(name: "interest", tickPeriod: .milliseconds(5))
        defer { loop.stopAndJoin() }
        let (near, far) = socketPair()
        let (events, ticks) = (EventLog<String>(), EventLog<Void>())
        let eventCount = LockedValue(0)
        loop.setHandler(
            ClosureHandler(
                onSocketReady: { token, readable, writable in
                    eventCount.value += 1
                    events.record("\(readable ? "r" : "")\(writable ? "w" : "")")
                    loop.setInterest(token, read: false, write: false)
                }, onTick: { _ in ticks.record(()) }))
        let token = try await loop.run {
            try loop.register(near.descriptor, read: true, write: true)
        }

        #expect(await events.next() == "w")
        _ = far.write([1])
        _ = await ticks.next(3)
        #expect(eventCount.value == 1)
        try await loop.run { loop.setInterest(token, read: true, write: false) }
        #expect(await events.next() == "r")
        try await loop.run { loop.setInterest(token, read: true, write: true) }
        #expect(await events.next() == "rw")
        far.close()
    }

    @Test(
        "without interest does not wake the loop for a closed peer, but reports it later"
    )
    func closedWhileNotWatched() async throws {
        let loop = try EventLoop.start(name: "paused", tickPeriod: .milliseconds(20))
        defer { loop.stopAndJoin() }
        let (near, far) = socketPair()
        let (events, ticks) = (EventLog<String>(), EventLog<UInt64>())
        loop.setHandler(
            ClosureHandler(
                onSocketReady: { token, readable, writable in
                    events.record("\(readable ? "r" : "")\(writable ? "w" : "")")
                    loop.close(token)
                }, onTick: { _ in ticks.record(loop.turnStatistics.count) }))
        let token = try await loop.run { try loop.register(near.descriptor, read: false) }
        far.close()

        let counts = await ticks.next(11)
        #expect(counts[10] - counts[0] <= 30, "\(counts[10] - counts[0]) turns for 10 ticks")
        try await loop.run { loop.setInterest(token, read: true, write: false) }
        #expect(await events.next().contains("r"))
    }

    @Test("is readable and writable after an error, so that reading returns the error")
    func resetByPeer() async throws {
        let loop = try EventLoop.start(name: "reset")
        defer { loop.stopAndJoin() }
        let listener = try ListeningSocket.open(host: "127.0.0.1", port: 0)
        defer { listener.socket.close() }
        let client = try Socket.connect(to: listener.address)
        listener.socket.waitUntilReadable()
        guard case .accepted(let served, _) = listener.accept() else {
            Issue.record("no connection to accept")
            return
        }
        let log = EventLog<String>()
        loop.setHandler(
            ClosureHandler(onSocketReady: { token, readable, writable in
                var buffer: [UInt8] = [0]
                let outcome = buffer.withUnsafeMutableBytes { loop.socket(token)!.read(into: $0) }
                log.record("\(readable) \(writable) \(outcome)")
                loop.close(token)
            }))
        _ = try await loop.run { try loop.register(served.descriptor) }
        // Closing with a linger time of zero resets the connection.
        var lingering = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
            client.descriptor, SOL_SOCKET, SO_LINGER, &lingering,
            socklen_t(MemoryLayout<linger>.size))
        client.close()

        #expect(await log.next() == "true true failed(\(ECONNRESET))")
    }

    @Test(
        "can be closed during any event of a turn, and is not reported again"
    )
    func closeDuringCallback() async throws {
        let loop = try EventLoop.start(name: "close")
        defer { loop.stopAndJoin() }
        let ends = [socketPair(), socketPair(), socketPair()]
        for (_, far) in ends { _ = far.write([1]) }
        let tokens = LockedValue<[SocketToken]>([])
        let (events, turns) = (EventLog<SocketToken>(), EventLog<Int>())
        loop.setHandler(
            ClosureHandler(
                onSocketReady: { token, _, _ in
                    events.record(token)
                    for other in tokens.value {
                        loop.close(other)
                        loop.close(other)
                    }
                }, onTurnEnding: { turns.record(loop.socketCount) }))
        try await loop.run {
            tokens.value = try ends.map { near, _ in try loop.register(near.descriptor) }
        }

        let first = await events.next()
        #expect(tokens.value.contains(first))
        for (_, far) in ends { far.waitUntilReadable() }
        #expect(try await loop.run { loop.socketCount } == 0)
        #expect(ends.allSatisfy { _, far in far.readAll() == ([], true) })
        // The other sockets had events in the same turn, but they were closed by the first event
        // and received no callback.
        events.record(SocketToken(slot: 99, generation: 99))
        #expect(await events.next() == SocketToken(slot: 99, generation: 99))
        for (_, far) in ends { far.close() }
    }

    @Test("leaves its slot to the next socket, which old tokens do not affect")
    func generations() async throws {
        let loop = try EventLoop.start(name: "slots")
        defer { loop.stopAndJoin() }
        let (first, firstFar) = socketPair()
        let (second, secondFar) = socketPair()
        let old = try await loop.run { try loop.register(first.descriptor) }
        try await loop.run { loop.close(old) }
        // This runs in a later turn, because the slot is freed at the end of the turn that closed
        // it.
        firstFar.waitUntilReadable()
        let new = try await loop.run { try loop.register(second.descriptor) }

        #expect(old.slot == new.slot)
        #expect(old.generation != new.generation)
        let isGone = try await loop.run {
            loop.close(old)
            loop.setInterest(old, read: false, write: false)
            return !loop.detach(old) { _ in } && loop.socket(old) == nil
        }
        #expect(isGone)
        #expect(try await loop.run { loop.socket(new) } == second)
        #expect(secondFar.readAll() == ([], false))
        firstFar.close()
        secondFar.close()
    }

    @Test("can move to another loop many times without losing a byte")
    func detach() async throws {
        let loops = [try EventLoop.start(name: "left"), try EventLoop.start(name: "right")]
        defer { for loop in loops { loop.stopAndJoin() } }
        let listener = try ListeningSocket.open(host: "127.0.0.1", port: 0)
        defer { listener.socket.close() }
        let client = try Socket.connect(to: listener.address)
        listener.socket.waitUntilReadable()
        guard case .accepted(let served, _) = listener.accept() else {
            Issue.record("no connection to accept")
            return
        }

        let total = 200_000
        let received = LockedValue<[UInt8]>([])
        let moves = LockedValue(0)
        let done = EventLog<Void>()
        for (loop, other) in [(loops[0], loops[1]), (loops[1], loops[0])] {
            loop.setHandler(
                ClosureHandler(onSocketReady: { token, _, _ in
                    var buffer = [UInt8](repeating: 0, count: 701)
                    switch buffer.withUnsafeMutableBytes({ loop.socket(token)!.read(into: $0) }) {
                    case .bytes(let count): received.update { $0 += buffer[..<count] }
                    case .wouldBlock: return
                    case .endOfStream, .failed: return done.record(())
                    }
                    moves.value += 1
                    #expect(
                        loop.detach(token) { socket in
                            other.execute { _ = try? other.register(socket.descriptor) }
                        })
                }))
        }
        _ = try await loops[0].run { try loops[0].register(served.descriptor) }
        let sent = (0..<total).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ ($0 >> 8)) }
        var offset = 0
        while offset < total {
            switch client.write(Array(sent[offset..<min(offset + 10_000, total)])) {
            case .bytes(let count): offset += count
            case .wouldBlock: await Task.yield()
            case .endOfStream, .failed: offset = total
            }
        }
        client.shutdownWriting()
        _ = await done.next()

        #expect(received.value == sent)
        #expect(moves.value > 200)
        client.close()
    }

    @Test(
        "is rejected if the loop already watches the descriptor, or if it is a regular file"
    )
    func rejectedDescriptors() async throws {
        let loop = try EventLoop.start(name: "refused")
        defer { loop.stopAndJoin() }
        let (near, far) = socketPair()
        _ = try await loop.run { try loop.register(near.descriptor) }
        await #expect(throws: SocketError.system(call: "epoll_ctl", errno: EEXIST)) {
            _ = try await loop.run { try loop.register(near.descriptor) }
        }
        let file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
        await #expect(throws: SocketError.system(call: "epoll_ctl", errno: EPERM)) {
            _ = try await loop.run { try loop.register(file) }
        }
        #expect(try await loop.run { loop.socketCount } == 1)
        close(file)
        far.close()
    }
}

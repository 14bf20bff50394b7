import EventLoop
import Glibc
import TestTraits
import Testing

@Suite("A loop", .ownThread)
struct EventLoopTests {
    @Test("runs only the actors that are pinned to it")
    func pinnedActors() async throws {
        let loop = try EventLoop.start(name: "pinned")
        defer { loop.stopAndJoin() }
        let (first, second) = (PinnedActor(on: loop), PinnedActor(on: loop))

        #expect(await first.isOnLoop())
        #expect(await second.isOnLoop())
        #expect(!loop.isCurrent)
        #expect(loop.isIsolatingCurrentContext() == false)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<500 { group.addTask { _ = await first.isOnLoop() } }
        }
        #expect(await first.calls == 501)
    }

    @Test(
        "runs tasks that prefer it and their children, also after a call to another loop"
    )
    func preferringTasks() async throws {
        let loop = try EventLoop.start(name: "preferred")
        defer { loop.stopAndJoin() }
        let other = try EventLoop.start(name: "elsewhere")
        defer { other.stopAndJoin() }
        let pinned = PinnedActor(on: other)

        let task = Task(executorPreference: loop) {
            var seen = [loop.isCurrent]
            seen.append(await pinned.isOnLoop())
            seen.append(loop.isCurrent)
            await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<100 { group.addTask { loop.isCurrent } }
                for await isOnLoop in group { seen.append(isOnLoop) }
            }
            return seen
        }
        let seen = await task.value
        #expect(seen.count == 103 && seen.allSatisfy { $0 })
        #expect(!loop.isCurrent)
    }

    @Test("lets callbacks enter its actors with assumeIsolated")
    func assumeIsolated() async throws {
        let loop = try EventLoop.start(name: "enter")
        defer { loop.stopAndJoin() }
        let actor = PinnedActor(on: loop)

        #expect(try await loop.run { actor.assumeIsolated { $0.isOnLoop() } })
    }

    @Test("keeps the order of a turn: sockets, mailboxes, jobs, end")
    func orderInATurn() async throws {
        let loop = try EventLoop.start(name: "order")
        defer { loop.stopAndJoin() }
        let actor = PinnedActor(on: loop)
        let mailbox = Mailbox<Int>(of: loop)
        let log = EventLog<String>()
        let hasBegun = LockedValue(false)
        loop.setHandler(
            ClosureHandler(
                onSocketReady: { token, _, _ in
                    log.record("socket")
                    loop.setInterest(token, read: false, write: false)
                    if hasBegun.value { return }
                    hasBegun.value = true
                    actor.assumeIsolated { $0.spawn { log.record("job") } }
                    _ = mailbox.post(1)
                },
                onMessages: { if hasBegun.value { log.record("mail") } },
                onTurnEnding: { if hasBegun.value { log.record("end") } }))

        let ends = [socketPair(), socketPair()]
        for (_, far) in ends { _ = far.write([1]) }
        try await loop.run { for (near, _) in ends { _ = try loop.register(near.descriptor) } }

        #expect(await log.next(5) == ["socket", "socket", "mail", "job", "end"])
        for (_, far) in ends { far.close() }
    }

    @Test("runs another turn without sleep when a handler requests it")
    func requestedTurn() async throws {
        let loop = try EventLoop.start(name: "again", tickPeriod: .seconds(3600))
        defer { loop.stopAndJoin() }
        let turns = LockedValue(0)
        let log = EventLog<Int>()
        loop.setHandler(
            ClosureHandler(onTurnEnding: {
                turns.value += 1
                if turns.value < 1000 { loop.requestTurn() } else { log.record(turns.value) }
            }))

        // Without the request, nothing would wake the loop for an hour.
        #expect(await log.next() == 1000)
    }

    @Test("runs jobs that were enqueued at the end of the turn")
    func jobsFromTurnEnding() async throws {
        let loop = try EventLoop.start(name: "late", tickPeriod: .seconds(3600))
        defer { loop.stopAndJoin() }
        let actor = PinnedActor(on: loop)
        let isFirst = LockedValue(true)
        let log = EventLog<String>()
        loop.setHandler(
            ClosureHandler(onTurnEnding: {
                guard isFirst.value else { return }
                isFirst.value = false
                actor.assumeIsolated { $0.spawn { log.record("ran") } }
            }))

        #expect(await log.next() == "ran")
    }

    @Test("sleeps between its ticks when nothing happens")
    func idle() async throws {
        let loop = try EventLoop.start(name: "idle", tickPeriod: .milliseconds(20))
        defer { loop.stopAndJoin() }
        let log = EventLog<UInt64>()
        loop.setHandler(ClosureHandler(onTick: { _ in log.record(loop.turnStatistics.count) }))

        let counts = await log.next(11)
        let turns = counts[10] - counts[0]
        // The kernel counts in milliseconds and may wake a little early. A larger number means that
        // the loop spins.
        #expect((10...30).contains(turns), "\(turns) turns for 10 ticks")
    }

    @Test("measures its turns")
    func turns() async throws {
        let loop = try EventLoop.start(name: "turns", tickPeriod: .seconds(3600))
        defer { loop.stopAndJoin() }
        let slow: Int64 = 2_000_000
        try await loop.run {
            let start = MonotonicTime.exact
            while MonotonicTime.exact.nanoseconds - start.nanoseconds < slow {}
        }
        let (turns, rest) = try await loop.run { (loop.resetTurnStatistics(), loop.turnStatistics) }

        #expect(turns.count >= 1)
        #expect(turns.longestNanoseconds >= slow)
        #expect(turns.totalNanoseconds >= turns.longestNanoseconds)
        #expect(rest.count == 0 && rest.longestNanoseconds == 0 && rest.totalNanoseconds == 0)
    }

    @Test("closes its sockets when it stops, notifies its handler, and is released")
    func stop() async throws {
        let log = EventLog<String>()
        let (near, far) = socketPair()
        weak var weakLoop: EventLoop?
        weak var weakHandler: ClosureHandler?
        do {
            let loop = try EventLoop.start(name: "stop")
            let handler = ClosureHandler(onLoopStopping: { log.record("stopping") })
            (weakLoop, weakHandler) = (loop, handler)
            loop.setHandler(handler)
            _ = try await loop.run { try loop.register(near.descriptor) }
            loop.stop()
            loop.stop()
            loop.join()
            loop.join()
        }

        #expect(await log.next() == "stopping")
        far.waitUntilReadable()
        #expect(far.readAll() == ([], true))
        #expect(weakHandler == nil)
        #expect(weakLoop == nil)
        far.close()
    }

    @Test(
        "runs the jobs of its actors even after its end, one after the other"
    )
    func jobsAfterEnd() async throws {
        let loop = try EventLoop.start(name: "ended")
        let actor = PinnedActor(on: loop)
        loop.stopAndJoin()

        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<200 { group.addTask { #expect(await actor.isOnLoop()) } }
        }
        #expect(await actor.calls == 200)
        #expect(await registerError(on: loop) == .loopEnded)
    }

    private func registerError(on loop: EventLoop) async -> SocketError? {
        let (near, far) = socketPair()
        defer {
            near.close()
            far.close()
        }
        return await #expect(throws: SocketError.self) {
            _ = try await loop.run { try loop.register(near.descriptor) }
        }
    }

    @Test("runs all closures that were passed before it was stopped")
    func workBeforeStop() async throws {
        let loop = try EventLoop.start(name: "work")
        let done = LockedValue(0)
        for _ in 0..<100 { loop.execute { done.value += 1 } }
        loop.stopAndJoin()

        #expect(done.value == 100)
    }

    @Test("calls back on a signal")
    func signals() async throws {
        let loop = try EventLoop.start(name: "signals")
        defer { loop.stopAndJoin() }
        let log = EventLog<(ProcessSignal, Bool)>()
        try await SignalWatcher.watch([.hangUp, .terminate], on: loop) {
            log.record(($0, loop.isCurrent))
        }

        kill(getpid(), SIGHUP)
        #expect(await log.next() == (.hangUp, true))
        kill(getpid(), SIGTERM)
        #expect(await log.next() == (.terminate, true))
    }
}

@Suite("State bound to a loop", .ownThread)
struct LoopBoundTests {
    @Test("can be changed from callbacks and actors on the loop")
    func entered() async throws {
        let loop = try EventLoop.start(name: "bound")
        defer { loop.stopAndJoin() }
        let state = LoopBound([Int](), on: loop)
        let (near, far) = socketPair()
        let log = EventLog<[Int]>()
        loop.setHandler(
            ClosureHandler(onSocketReady: { token, _, _ in
                state.with { $0.append(1) }
                log.record(state.with { $0 })
                loop.close(token)
            }))
        _ = try await loop.run { try loop.register(near.descriptor) }
        far.close()

        #expect(await log.next() == [1])
        #expect(
            try await loop.run {
                state.with { $0.append(2) }
                return state.with { $0.count }
            } == 2)
    }

    @Test("ends the process on access from another thread")
    func elsewhere() async {
        await #expect(processExitsWith: .failure) {
            let loop = try EventLoop.start(name: "elsewhere")
            LoopBound(1, on: loop).with { $0 += 1 }
        }
    }

    @Test("ends the process on overlapping access")
    func twice() async {
        await #expect(processExitsWith: .failure) {
            let loop = try EventLoop.start(name: "twice")
            let state = LoopBound(1, on: loop)
            loop.execute { state.with { _ in state.with { $0 += 1 } } }
            loop.stop()
            loop.join()
        }
    }
}

import EventLoop
import Synchronization
import TestTraits
import Testing

@Suite("A mailbox", .ownThread)
struct MailboxTests {
    @Test("accepts messages up to its limit, in order, and more only after it was drained")
    func limit() async throws {
        let loop = try EventLoop.start(name: "limit")
        defer { loop.stopAndJoin() }
        let mailbox = Mailbox<Int>(of: loop, limit: 3)

        #expect((1...5).map { mailbox.post($0) } == [true, true, true, false, false])
        var messages = [99]
        mailbox.drain(into: &messages)
        #expect(messages == [1, 2, 3])
        #expect(mailbox.post(6))
        mailbox.drain(into: &messages)
        #expect(messages == [6])
        mailbox.drain(into: &messages)
        #expect(messages.isEmpty)
    }

    @Test("wakes its loop once for any number of messages")
    func oneWakeUp() async throws {
        let loop = try EventLoop.start(name: "once", tickPeriod: .seconds(3600))
        defer { loop.stopAndJoin() }
        let mailbox = Mailbox<Int>(of: loop)
        let drains = EventLog<(calls: Int, count: Int)>()
        let calls = LockedValue(0)
        let isBlocked = LockedValue(false)
        let gate = Mutex(())
        loop.setHandler(
            ClosureHandler(onMessages: {
                calls.value += 1
                var messages: [Int] = []
                mailbox.drain(into: &messages)
                if !messages.isEmpty { drains.record((calls.value, messages.count)) }
            }))
        try await loop.run {}

        // The loop is blocked while a thousand messages are posted.
        let before = EventLog<Int>()
        gate.withLock { _ in
            loop.execute {
                before.record(calls.value)
                isBlocked.value = true
                gate.withLock { _ in }
            }
            while !isBlocked.value {}
            for number in 0..<1000 { _ = mailbox.post(number) }
        }
        let (callsBefore, drain) = (await before.next(), await drains.next())
        #expect(drain.count == 1000)
        #expect(drain.calls == callsBefore + 1)
    }

    @Test("delivers all messages from many threads, in the order of each thread")
    func manyPosters() async throws {
        let loop = try EventLoop.start(name: "many", tickPeriod: .seconds(3600))
        defer { loop.stopAndJoin() }
        let (posters, each) = (4, 20_000)
        let mailbox = Mailbox<(poster: Int, number: Int)>(of: loop, limit: 1000)
        let next = LockedValue([Int](repeating: 0, count: posters))
        let done = EventLog<Void>()
        loop.setHandler(
            ClosureHandler(onMessages: {
                var messages: [(poster: Int, number: Int)] = []
                mailbox.drain(into: &messages)
                next.update { next in
                    for message in messages {
                        #expect(next[message.poster] == message.number)
                        next[message.poster] += 1
                    }
                    if next.reduce(0, +) == posters * each { done.record(()) }
                }
            }))

        await withTaskGroup(of: Void.self) { group in
            for poster in 0..<posters {
                group.addTask {
                    for number in 0..<each {
                        while !mailbox.post((poster, number)) { await Task.yield() }
                    }
                }
            }
        }
        // For an hour only the mailbox wakes the loop, so the test hangs here if a wake-up is lost.
        _ = await done.next()
        #expect(next.value == [Int](repeating: each, count: posters))
    }

    @Test("keeps the capacity of ordinary traffic and releases that of a burst")
    func capacity() async throws {
        let loop = try EventLoop.start(name: "room")
        defer { loop.stopAndJoin() }
        let mailbox = Mailbox<Int>(of: loop)
        var messages: [Int] = []
        for number in 0..<50_000 { _ = mailbox.post(number) }
        mailbox.drain(into: &messages)
        #expect(messages.count == 50_000)
        var roomy = 0
        for _ in 0..<4 {
            _ = mailbox.post(1)
            mailbox.drain(into: &messages)
            if messages.capacity >= 1024 { roomy += 1 }
        }
        #expect(roomy <= 2)
        #expect(messages.capacity < 1024)
    }

    @Test("that was filled before the loop had a handler is drained when it gets one")
    func handlerSetLater() async throws {
        let loop = try EventLoop.start(name: "lately", tickPeriod: .seconds(3600))
        defer { loop.stopAndJoin() }
        let mailbox = Mailbox<Int>(of: loop)
        _ = mailbox.post(7)
        try await loop.run {}
        let log = EventLog<[Int]>()
        loop.setHandler(
            ClosureHandler(onMessages: {
                var messages: [Int] = []
                mailbox.drain(into: &messages)
                if !messages.isEmpty { log.record(messages) }
            }))

        #expect(await log.next() == [7])
    }
}

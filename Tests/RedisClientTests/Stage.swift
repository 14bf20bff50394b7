import Bytes
import Dispatch
import EventLoop
import RedisClient
import Synchronization
import TestKit

/// What a user of Redis hears, in order.
enum Heard: Equatable, Sendable {
    case replied(UInt64, Answer)
    case failed(UInt64, RedisError)
    case changed(RedisClient.State)
    case subscribed(String)
    case published(String, String)

    var isReady: Bool { if case .changed(.ready) = self { true } else { false } }
    var tag: UInt64? {
        switch self {
        case .replied(let tag, _), .failed(let tag, _): tag
        case .changed, .subscribed, .published: nil
        }
    }
    var isAway: Bool { if case .changed(.away) = self { true } else { false } }
}

/// Notes everything; a test waits for it.
final class Listener: RedisClientUser, RedisSubscriberUser {
    private let heard = Mutex<[Heard]>([])
    private let place = Mutex(0)
    /// Called on the loop at each reply or failure.
    let onAnswer: @Sendable (Heard) -> Void

    init(onAnswer: @escaping @Sendable (Heard) -> Void = { _ in }) {
        self.onAnswer = onAnswer
    }

    func redisReplied(_ reply: RedisReply, to tag: UInt64) { self.note(.replied(tag, Answer(reply))) }
    func redisFailed(_ error: RedisError, tag: UInt64) { self.note(.failed(tag, error)) }
    func redisChanged(_ state: RedisClient.State) { self.note(.changed(state)) }
    func redisSubscriberChanged(_ state: RedisClient.State) { self.note(.changed(state)) }
    func redisSubscribed(to channel: UnsafeRawBufferPointer) { self.note(.subscribed(String(decoding: channel, as: UTF8.self))) }
    func redisPublished(_ payload: UnsafeRawBufferPointer, in channel: UnsafeRawBufferPointer) {
        self.note(.published(String(decoding: channel, as: UTF8.self), String(decoding: payload, as: UTF8.self)))
    }

    private func note(_ entry: Heard) {
        self.heard.withLock { $0.append(entry) }
        self.onAnswer(entry)
    }

    /// What was told of the connection.
    var states: [Heard] { self.all.filter { if case .changed = $0 { true } else { false } } }

    var all: [Heard] { self.heard.withLock { $0 } }

    /// The next entry that has not been asked for, of those that fit; what stands before it is passed.
    @discardableResult
    func next(_ what: String = "the next answer", where fits: (Heard) -> Bool = { _ in true }) throws -> Heard {
        try Deadline.wait(for: "\(what); heard so far: \(self.all.suffix(10))") {
            let heard = self.all
            return self.place.withLock { place in
                while place < heard.count {
                    defer { place += 1 }
                    if fits(heard[place]) { return heard[place] }
                }
                return nil
            }
        }
    }

    func next(_ count: Int) throws -> [Heard] { try (0..<count).map { _ in try self.next() } }
}

/// A loop with a client on it.
final class Stage: Sendable {
    let loop: EventLoop
    let listener: Listener
    let client: RedisClient
    private let tags = Mutex<UInt64>(1000)

    init(
        _ url: String, scripts: [RedisScript] = [], trusting authorities: String? = nil, listener: Listener = Listener(),
        _ adjust: (inout RedisSettings) -> Void = { _ in }
    ) throws {
        var settings = try RedisSettings(RedisURL(url), trusting: authorities)
        adjust(&settings)
        self.listener = listener
        self.loop = try EventLoop.start(name: "redis", tickPeriod: .milliseconds(20))
        self.client = RedisClient(settings, scripts: scripts, on: self.loop, seed: 7, user: listener)
        try self.loop.run { [client] in client.start() }
    }

    deinit {
        self.loop.stop()
        self.loop.join()
    }

    @discardableResult
    func untilReady() throws -> Int {
        guard case .changed(.ready(let epoch)) = try self.listener.next("a connection", where: { $0.isReady }) else { return 0 }
        return epoch
    }

    /// Gives commands in one turn of the loop, each with its number for a tag.
    func give(_ commands: [[String]]) throws {
        try self.loop.run { [client] in
            for (tag, words) in commands.enumerated() {
                try client.command(tag: UInt64(tag)) { for word in words { $0.append(text: word) } }
            }
        }
    }

    /// Gives one command and waits for what becomes of it.
    func ask(_ words: String...) throws -> Heard { try self.ask(words) }

    /// The same for one that must have a reply.
    func answer(to words: String...) throws -> Answer {
        guard case .replied(_, let answer) = try self.ask(words) else { throw TestFailure("\(words) failed") }
        return answer
    }

    func answer(to words: [String], slot: RedisSlot) throws -> Answer {
        let heard = try self.ask(words, slot: slot)
        guard case .replied(_, let answer) = heard else { throw TestFailure("\(words) failed: \(heard), after \(self.listener.states)") }
        return answer
    }

    func ask(_ words: [String], slot: RedisSlot = .any) throws -> Heard {
        let tag = self.tags.withLock {
            $0 += 1
            return $0
        }
        try self.loop.run { [client] in try client.command(tag: tag, slot: slot) { for word in words { $0.append(text: word) } } }
        return try self.listener.next("the answer to \(words)") {
            switch $0 {
            case .replied(tag, _), .failed(tag, _): true
            default: false
            }
        }
    }
}

extension EventLoop {
    /// Runs `body` on the loop and waits for it, on the test's thread.
    @discardableResult
    func run<R: Sendable>(_ body: @escaping @Sendable () throws -> R) throws -> R {
        let outcome = Outcome<R>()
        self.execute {
            let result = Result { try body() }
            outcome.result.withLock { $0 = result }
            outcome.isThere.signal()
        }
        outcome.isThere.wait()
        return try outcome.result.withLock { $0 }!.get()
    }
}

private final class Outcome<R: Sendable>: Sendable {
    let result = Mutex<Result<R, any Error>?>(nil)
    let isThere = DispatchSemaphore(value: 0)
}

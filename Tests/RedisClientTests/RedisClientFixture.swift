import Bytes
import Dispatch
import EventLoop
import RedisClient
import Synchronization
import TestKit

/// What a user of Redis hears, in order.
enum RedisClientEvent: Equatable, Sendable {
    case replied(UInt64, RedisReplyValue)
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
    var isUnavailable: Bool { if case .changed(.unavailable) = self { true } else { false } }
}

/// Notes everything; a test waits for it.
final class RedisEventRecorder: RedisClientUser, RedisSubscriberUser {
    private let recorded = Mutex<[RedisClientEvent]>([])
    private let nextIndex = Mutex(0)
    /// Called on the loop at each reply or failure.
    let onEvent: @Sendable (RedisClientEvent) -> Void

    init(onEvent onAnswer: @escaping @Sendable (RedisClientEvent) -> Void = { _ in }) {
        self.onEvent = onAnswer
    }

    func redisReplied(_ reply: RedisReply, to tag: UInt64) {
        self.record(.replied(tag, RedisReplyValue(reply)))
    }
    func redisFailed(_ error: RedisError, tag: UInt64) { self.record(.failed(tag, error)) }
    func redisChanged(_ state: RedisClient.State) { self.record(.changed(state)) }
    func redisSubscriberChanged(_ state: RedisClient.State) { self.record(.changed(state)) }
    func redisSubscribed(to channel: UnsafeRawBufferPointer) {
        self.record(.subscribed(String(decoding: channel, as: UTF8.self)))
    }
    func redisPublished(_ payload: UnsafeRawBufferPointer, in channel: UnsafeRawBufferPointer) {
        self.record(
            .published(
                String(decoding: channel, as: UTF8.self), String(decoding: payload, as: UTF8.self)))
    }

    private func record(_ entry: RedisClientEvent) {
        self.recorded.withLock { $0.append(entry) }
        self.onEvent(entry)
    }

    /// What was told of the connection.
    var states: [RedisClientEvent] {
        self.all.filter { if case .changed = $0 { true } else { false } }
    }

    var all: [RedisClientEvent] { self.recorded.withLock { $0 } }

    /// The next entry that has not been asked for, of those that fit; what stands before it is passed.
    @discardableResult
    func next(
        _ what: String = "the next answer", where fits: (RedisClientEvent) -> Bool = { _ in true }
    ) throws -> RedisClientEvent {
        try Deadline.wait(for: "\(what); heard so far: \(self.all.suffix(10))") {
            let heard = self.all
            return self.nextIndex.withLock { place in
                while place < heard.count {
                    defer { place += 1 }
                    if fits(heard[place]) { return heard[place] }
                }
                return nil
            }
        }
    }

    func next(_ count: Int) throws -> [RedisClientEvent] {
        try (0..<count).map { _ in try self.next() }
    }
}

/// A loop with a client on it.
final class RedisClientFixture: Sendable {
    let loop: EventLoop
    let recorder: RedisEventRecorder
    let client: RedisClient
    private let tags = Mutex<UInt64>(1000)

    init(
        _ url: String, scripts: [RedisScript] = [], trusting authorities: String? = nil,
        recorder listener: RedisEventRecorder = RedisEventRecorder(),
        _ adjust: (inout RedisSettings) -> Void = { _ in }
    ) throws {
        var settings = try RedisSettings(RedisURL(url), trusting: authorities)
        adjust(&settings)
        self.recorder = listener
        self.loop = try EventLoop.start(name: "redis", tickPeriod: .milliseconds(20))
        self.client = RedisClient(
            settings, scripts: scripts, on: self.loop, seed: 7, user: listener)
        try self.loop.run { [client] in client.start() }
    }

    deinit {
        self.loop.stop()
        self.loop.join()
    }

    @discardableResult
    func waitUntilReady() throws -> Int {
        guard
            case .changed(.ready(let epoch)) = try self.recorder.next(
                "a connection", where: { $0.isReady })
        else { return 0 }
        return epoch
    }

    /// Gives commands in one turn of the loop, each with its number for a tag.
    func send(_ commands: [[String]]) throws {
        try self.loop.run { [client] in
            for (tag, words) in commands.enumerated() {
                try client.command(tag: UInt64(tag)) { for word in words { $0.append(text: word) } }
            }
        }
    }

    /// Gives one command and waits for what becomes of it.
    func execute(_ words: String...) throws -> RedisClientEvent { try self.execute(words) }

    /// The same for one that must have a reply.
    func reply(to words: String...) throws -> RedisReplyValue {
        guard case .replied(_, let answer) = try self.execute(words) else {
            throw TestFailure("\(words) failed")
        }
        return answer
    }

    func reply(to words: [String], slot: RedisSlot) throws -> RedisReplyValue {
        let heard = try self.execute(words, slot: slot)
        guard case .replied(_, let answer) = heard else {
            throw TestFailure("\(words) failed: \(heard), after \(self.recorder.states)")
        }
        return answer
    }

    func execute(_ words: [String], slot: RedisSlot = .any) throws -> RedisClientEvent {
        let tag = self.tags.withLock {
            $0 += 1
            return $0
        }
        try self.loop.run { [client] in
            try client.command(tag: tag, slot: slot) { for word in words { $0.append(text: word) } }
        }
        return try self.recorder.next("the answer to \(words)") {
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
        let outcome = LoopResult<R>()
        self.execute {
            let result = Result { try body() }
            outcome.result.withLock { $0 = result }
            outcome.isAvailable.signal()
        }
        outcome.isAvailable.wait()
        return try outcome.result.withLock { $0 }!.get()
    }
}

private final class LoopResult<R: Sendable>: Sendable {
    let result = Mutex<Result<R, any Error>?>(nil)
    let isAvailable = DispatchSemaphore(value: 0)
}

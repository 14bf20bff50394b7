import Bytes
import Dispatch
import EventLoop
import RedisClient
import Synchronization
import TestKit

/// A call that the client or the subscriber makes to its user.
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

/// Records all events; a test waits for them.
final class RedisEventRecorder: RedisClientUser, RedisSubscriberUser {
    private let recorded = Mutex<[RedisClientEvent]>([])
    private let nextIndex = Mutex(0)
    /// Called on the loop at each event, before the test can see it.
    let onEvent: @Sendable (RedisClientEvent) -> Void

    init(onEvent onAnswer: @escaping @Sendable (RedisClientEvent) -> Void = { _ in }) {
        self.onEvent = onAnswer
    }

    func redisReplied(_ reply: RedisReply, to tag: CommandTag) {
        self.record(.replied(tag.rawValue, RedisReplyValue(reply)))
    }
    func redisFailed(_ error: RedisError, tag: CommandTag) {
        self.record(.failed(tag.rawValue, error))
    }
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

    private func record(_ event: RedisClientEvent) {
        self.onEvent(event)
        self.recorded.withLock { $0.append(event) }
    }

    /// The reported states of the connection.
    var states: [RedisClientEvent] {
        self.all.filter { if case .changed = $0 { true } else { false } }
    }

    var all: [RedisClientEvent] { self.recorded.withLock { $0 } }

    /// The next event that matches and that no earlier call has returned; skips the events before
    /// it.
    @discardableResult
    func next(
        _ description: String = "the next answer",
        where matches: (RedisClientEvent) -> Bool = { _ in true }
    ) throws -> RedisClientEvent {
        try Deadline.wait(for: "\(description); events so far: \(self.all.suffix(10))") {
            let events = self.all
            return self.nextIndex.withLock { index in
                while index < events.count {
                    defer { index += 1 }
                    if matches(events[index]) { return events[index] }
                }
                return nil
            }
        }
    }

    func next(_ count: Int) throws -> [RedisClientEvent] {
        try (0..<count).map { _ in try self.next() }
    }
}

/// A loop with a client.
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

    /// Sends commands in one turn of the loop, each with its index as its tag.
    func send(_ commands: [[String]]) throws {
        try self.loop.run { [client] in
            for (tag, arguments) in commands.enumerated() {
                try client.command(tag: CommandTag(rawValue: UInt64(tag))) {
                    for argument in arguments { $0.append(text: argument) }
                }
            }
        }
    }

    /// Sends one command and waits for its outcome.
    func execute(_ arguments: String...) throws -> RedisClientEvent { try self.execute(arguments) }

    /// Sends one command and waits for its reply, which must not be an error.
    func reply(to arguments: String...) throws -> RedisReplyValue {
        guard case .replied(_, let answer) = try self.execute(arguments) else {
            throw TestFailure("\(arguments) failed")
        }
        return answer
    }

    func reply(to arguments: [String], slot: RedisSlot) throws -> RedisReplyValue {
        let events = try self.execute(arguments, slot: slot)
        guard case .replied(_, let answer) = events else {
            throw TestFailure("\(arguments) failed: \(events), after \(self.recorder.states)")
        }
        return answer
    }

    func execute(_ arguments: [String], slot: RedisSlot = .any) throws -> RedisClientEvent {
        let tag = self.tags.withLock {
            $0 += 1
            return $0
        }
        try self.loop.run { [client] in
            try client.command(tag: CommandTag(rawValue: tag), slot: slot) {
                for argument in arguments { $0.append(text: argument) }
            }
        }
        return try self.recorder.next("the answer to \(arguments)") {
            switch $0 {
            case .replied(tag, _), .failed(tag, _): true
            default: false
            }
        }
    }
}

extension EventLoop {
    /// Runs `body` on the loop and waits for it on the test's thread.
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

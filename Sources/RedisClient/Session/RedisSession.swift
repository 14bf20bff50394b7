internal import Bytes
internal import EventLoop

/// One connection to a Redis server as a value: when to connect, what to say first, whose reply is whose, what has taken too long.
///
/// It reads no clock and opens no socket. Whoever holds it connects when it is told to, sends what is unsent, feeds it what arrives, and
/// asks for events until there are none; nothing is ever told but by `next(now:)`, so the order of events is the order of that.
struct RedisSession {
    /// What replies are.
    enum Purpose {
        /// Each answers a command.
        case commands
        /// They are pushed.
        case subscription
    }

    enum State: Equatable {
        /// There is no connection, and there shall be one at this time.
        case resting(until: MonotonicTime)
        /// Somebody connects.
        case connecting(since: MonotonicTime)
        case greeting(since: MonotonicTime)
        case ready(since: MonotonicTime)
        case over
    }

    enum Event {
        case ready(epoch: Int)
        /// There is no connection any more, or no attempt. Whatever socket there is, is to be closed.
        case away(RedisOutage)
        /// Good until the next call of anything here.
        case reply(RedisReply, tag: UInt64)
        case failed(RedisError, tag: UInt64)
        case push(RedisReply)
    }

    /// A command that waits for its reply, be it sent or not.
    private struct Command {
        enum Kind: UInt8 { case user, ping, loadScript }

        var tag: UInt64
        /// The place behind it in `outgoing`.
        var end: UInt64
        var writtenAt: MonotonicTime
        var kind: Kind
    }

    private let settings: RedisSettings
    private let scripts: [RedisScript]
    private let purpose: Purpose
    private let reader: RedisReplyReader
    private(set) var state: State
    private(set) var epoch = 0
    private var backoff: Backoff
    private var greeting: Greeting
    private var outgoing = Outgoing()
    private var commands = Fifo<Command>()

    /// So many of the commands were there when the connection broke, and how far they had left.
    private var lostCount = 0
    private var lostSent: UInt64 = 0
    private var untoldOutage: RedisOutage?
    /// Commands that were written before it waited too long for a connection.
    private var waitedTooLong = MonotonicTime(nanoseconds: .min)
    /// Commands that end before this place were sent before the scripts were loaded again.
    private var scriptsLoadedAt: UInt64 = 0
    private var heardAt = MonotonicTime(nanoseconds: .min)
    private var pingedAt: MonotonicTime?

    init(_ settings: RedisSettings, scripts: [RedisScript] = [], for purpose: Purpose = .commands, seed: UInt64) {
        self.settings = settings
        self.scripts = scripts
        self.purpose = purpose
        self.reader = RedisReplyReader(byteLimit: settings.replyByteLimit)
        self.state = .resting(until: MonotonicTime(nanoseconds: .min))
        self.backoff = Backoff(first: settings.firstRetryWait, longest: settings.longestRetryWait, seed: seed)
        self.greeting = Greeting(settings, scripts: scripts)
    }

    var isReady: Bool { if case .ready = self.state { true } else { false } }

    /// How many commands are unanswered.
    var commandCount: Int { self.commands.count }

    // MARK: Connecting

    /// To be called often. True when it is time to connect; then `opened` or `lost` is to follow.
    mutating func tick(now: MonotonicTime) -> Bool {
        switch self.state {
        case .resting(let until):
            self.waitedTooLong = now.advanced(by: .zero - self.settings.commandPatience)
            guard now >= until else { return false }
            self.state = .connecting(since: now)
            return true
        case .connecting(let since), .greeting(let since):
            self.waitedTooLong = now.advanced(by: .zero - self.settings.commandPatience)
            if now.since(since) >= self.settings.connectPatience {
                self.lose(.socket(.timedOut, place: self.settings.url.description), now: now)
            }
        case .ready(let since):
            self.checkSilence(readySince: since, now: now)
        case .over:
            break
        }
        return false
    }

    /// The connection is there, TLS included.
    mutating func opened(now: MonotonicTime) {
        guard case .connecting(let since) = self.state else { return }
        self.reader.reset()
        self.greeting = Greeting(self.settings, scripts: self.scripts)
        self.state = .greeting(since: since)
        self.heardAt = now
        self.pingedAt = nil
    }

    /// The connection has gone, or none came about.
    mutating func lose(_ outage: RedisOutage, now: MonotonicTime) {
        switch self.state {
        case .resting, .over: return
        case .connecting, .greeting: break
        case .ready(let since):
            self.lostCount = self.commands.count
            self.lostSent = self.outgoing.sent
            self.outgoing.clear()
            // One that comes and goes is no better than none.
            if now.since(since) >= self.settings.longestRetryWait { self.backoff.reset() }
        }
        self.untoldOutage = outage
        self.state = .resting(until: now.advanced(by: self.backoff.next()))
    }

    /// Everything ends, and nothing is told any more.
    mutating func close() {
        self.state = .over
        self.commands = Fifo()
        self.lostCount = 0
        self.untoldOutage = nil
        self.outgoing.clear()
    }

    private mutating func checkSilence(readySince: MonotonicTime, now: MonotonicTime) {
        let patience = self.settings.commandPatience
        if let asked = self.commands.first.map({ max($0.writtenAt, readySince) }) ?? self.pingedAt {
            let silence = now.since(asked)
            if silence >= patience { self.lose(.silent(milliseconds: silence.wholeNanoseconds / 1_000_000), now: now) }
        } else if now.since(self.heardAt) >= self.settings.pingAfter {
            self.pingedAt = now
            switch self.purpose {
            case .commands: self.append(.ping, now: now) { $0.append("PING") }
            case .subscription: self.say { $0.append("PING") }
            }
        }
    }

    // MARK: Sending

    /// Writes a command, behind all others. Throws `queueFull` or `closed`, and then it is not written.
    @inline(__always)
    mutating func command(tag: UInt64, now: MonotonicTime, _ write: (inout RedisCommandWriter) -> Void) throws(RedisError) {
        if self.state == .over { throw .closed }
        guard self.commands.count < self.settings.commandLimit,
            self.outgoing.write(byteLimit: self.settings.unsentByteLimit, write)
        else { throw .queueFull }
        self.commands.append(Command(tag: tag, end: self.outgoing.end, writtenAt: now, kind: .user))
    }

    /// Writes what no reply of its own comes to. Lost where there is no connection.
    mutating func say(_ write: (inout RedisCommandWriter) -> Void) {
        if self.isReady { _ = self.outgoing.write(byteLimit: .max, write) }
    }

    private mutating func append(_ kind: Command.Kind, now: MonotonicTime, _ write: (inout RedisCommandWriter) -> Void) {
        _ = self.outgoing.write(byteLimit: .max, write)
        self.commands.append(Command(tag: 0, end: self.outgoing.end, writtenAt: now, kind: kind))
    }

    /// Whether there is something to send now.
    var hasUnsent: Bool {
        switch self.state {
        case .greeting: self.greeting.output.unsentCount > 0
        case .ready: self.outgoing.unsentCount > 0
        case .resting, .connecting, .over: false
        }
    }

    func withUnsent<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        self.isReady ? self.outgoing.withUnsent(body) : self.greeting.output.withUnsent(body)
    }

    mutating func didSend(_ count: Int) {
        if self.isReady { self.outgoing.didSend(count) } else { self.greeting.didSend(count) }
    }

    // MARK: Hearing

    /// Takes bytes that came in, some kilobytes at a time; each time all events are to be taken out.
    mutating func receive(_ bytes: UnsafeRawBufferPointer, now: MonotonicTime) {
        self.heardAt = now
        self.pingedAt = nil
        do throws(RedisReplyError) {
            try self.reader.feed(bytes)
        } catch {
            self.lose(.reply(error), now: now)
        }
    }

    /// What there is to be told next; nil when that is all.
    @inline(__always)
    mutating func next(now: MonotonicTime) -> Event? {
        while true {
            switch self.state {
            case .ready:
                guard let reply = self.reply(now: now) else {
                    if self.isReady { return nil }
                    continue
                }
                if self.purpose == .subscription {
                    if reply.kind != .error { return .push(reply) }
                    self.lose(.refused(RedisError(reply: reply.bytes)), now: now)
                } else if let event = self.take(reply, now: now) {
                    return event
                }
            case .greeting:
                if let event = self.shakeHands(now: now) { return event }
                // Commands do not wait any longer for a server that does not greet back.
                if case .greeting = self.state { return self.nextFailure() }
            case .resting, .connecting:
                return self.nextFailure()
            case .over:
                return nil
            }
        }
    }

    @inline(__always)
    private mutating func reply(now: MonotonicTime) -> RedisReply? {
        do throws(RedisReplyError) {
            return try self.reader.next()
        } catch {
            self.lose(.reply(error), now: now)
            return nil
        }
    }

    /// The reply to the oldest command; nil when that is one of our own.
    @inline(__always)
    private mutating func take(_ reply: RedisReply, now: MonotonicTime) -> Event? {
        guard let command = self.commands.popFirst() else {
            // Such as "-ERR max number of clients reached", and nothing good in any case.
            self.lose(reply.kind == .error ? .refused(RedisError(reply: reply.bytes)) : .reply(.malformed("nobody asked for it")), now: now)
            return nil
        }
        guard reply.kind == .error else {
            return command.kind == .user ? .reply(reply, tag: command.tag) : nil
        }
        let error = RedisError(reply: reply.bytes)
        switch command.kind {
        case .user:
            if error == .scriptLost { self.loadScripts(for: command, now: now) }
            return .failed(error, tag: command.tag)
        case .ping:
            return nil
        case .loadScript:
            self.lose(.refused(error), now: now)
            return nil
        }
    }

    /// Before its sender hears of it, so that what the sender writes next comes behind. Many may fail for the same reason: once for all
    /// that were written before.
    private mutating func loadScripts(for command: Command, now: MonotonicTime) {
        guard command.end > self.scriptsLoadedAt else { return }
        for script in self.scripts { self.append(.loadScript, now: now) { $0.append(loading: script) } }
        self.scriptsLoadedAt = self.outgoing.end
    }

    private mutating func shakeHands(now: MonotonicTime) -> Event? {
        while let reply = self.reply(now: now) {
            do throws(RedisError) {
                try self.greeting.hear(reply.kind == .error ? RedisError(reply: reply.bytes) : nil)
            } catch {
                self.lose(.refused(error), now: now)
                return nil
            }
            guard self.greeting.isAnswered else { continue }
            self.state = .ready(since: now)
            self.epoch += 1
            return .ready(epoch: self.epoch)
        }
        return nil
    }

    private mutating func nextFailure() -> Event? {
        if let outage = self.untoldOutage {
            self.untoldOutage = nil
            return .away(outage)
        }
        while self.lostCount > 0, let command = self.commands.popFirst() {
            self.lostCount -= 1
            if command.kind == .user { return .failed(.connectionLost(mayBeDone: command.end <= self.lostSent), tag: command.tag) }
        }
        while let command = self.commands.first, command.writtenAt <= self.waitedTooLong {
            _ = self.commands.popFirst()
            self.outgoing.skip(to: command.end)
            return .failed(.noConnection, tag: command.tag)
        }
        return nil
    }
}

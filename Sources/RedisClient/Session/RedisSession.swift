internal import Bytes
internal import EventLoop
internal import TLS

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

    /// What the server is among the others.
    enum Counterpart: Equatable {
        /// The only one.
        case server
        /// The one that sentinels name: it must say itself that it is the master, and when it is no more it is left.
        case master
        /// What it says is elsewhere is handed back, to be sent there.
        case clusterNode
        /// It knows a server. The password is for the servers, and for it only when it asks for one.
        case sentinel(knowsPassword: Bool)

        var isSentinel: Bool { if case .sentinel = self { true } else { false } }
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
        /// The server has not done a command and says why: another has to, or itself later. Behind it come the WAITs that its user
        /// wrote right behind it, because they are about what it does; the server's own answers to them are not told.
        case returned([Parcel], RedisError)
    }

    private let settings: RedisSettings
    private let scripts: [RedisScript]
    private let purpose: Purpose
    var counterpart: Counterpart
    /// What outages call the server.
    var name: String
    private let reader: RedisReplyReader
    private(set) var state: State
    private(set) var epoch = 0
    private var backoff: Backoff
    private var greeting: Greeting
    private var pipeline: Pipeline
    private var untoldOutage: RedisOutage?
    /// Commands that end before this place were sent before the scripts were loaded again.
    private var scriptsLoadedAt: UInt64 = 0
    private var heardAt = MonotonicTime(nanoseconds: .min)
    /// Whether anything was heard over the present connection.
    private var hasHeard = false
    /// The connection is there, and TLS is being agreed on.
    private var isSecuring = false
    private var pingedAt: MonotonicTime?
    private var tickedAt = MonotonicTime(nanoseconds: 0)
    /// Since then ticks have come as they should.
    private var awakeSince = MonotonicTime(nanoseconds: 0)

    /// A loop whose ticks are so far apart has stood still and heard nobody: what came meanwhile is still to be read.
    private static let standstill = Duration.seconds(1)

    init(
        _ settings: RedisSettings, scripts: [RedisScript] = [], for purpose: Purpose = .commands, with counterpart: Counterpart = .server,
        seed: UInt64
    ) {
        self.settings = settings
        self.scripts = scripts
        self.purpose = purpose
        self.counterpart = counterpart
        self.name = settings.url.description
        self.pipeline = Pipeline(isClusterNode: counterpart == .clusterNode, settings)
        self.reader = RedisReplyReader(byteLimit: settings.replyByteLimit)
        self.state = .resting(until: MonotonicTime(nanoseconds: .min))
        self.backoff = Backoff(first: settings.firstRetryWait, longest: settings.longestRetryWait, seed: seed)
        self.greeting = Greeting(settings, scripts: scripts, to: counterpart)
    }

    /// How long the server has owed the next answer.
    func silence(now: MonotonicTime) -> Duration {
        guard case .ready(let since) = self.state, let command = self.pipeline.first else { return .zero }
        return now.since(max(command.writtenAt, since))
    }

    var isReady: Bool { if case .ready = self.state { true } else { false } }

    /// How many commands are unanswered.
    var commandCount: Int { self.pipeline.count }

    // MARK: Connecting

    /// To be called often. True when it is time to connect; then `opened` or `lose` is to follow.
    ///
    /// - Parameter mayConnect: false while nobody knows where to.
    mutating func tick(now: MonotonicTime, mayConnect: Bool = true) -> Bool {
        if now.since(self.tickedAt) > Self.standstill { self.awakeSince = now }
        self.tickedAt = now
        switch self.state {
        case .resting(let until):
            self.pipeline.expire(before: now.advanced(by: .zero - self.settings.commandPatience))
            // Not before the end of the last connection was told: until then its socket is there.
            guard mayConnect, now >= until, self.untoldOutage == nil else { return false }
            self.state = .connecting(since: now)
            return true
        case .connecting(let since), .greeting(let since):
            self.pipeline.expire(before: now.advanced(by: .zero - self.settings.commandPatience))
            if now.since(since) >= self.settings.connectPatience || self.isGreetingOverdue(now: now) {
                self.lose(.socket(.timedOut, place: self.name), now: now)
            }
        case .ready(let since):
            self.checkSilence(readySince: since, now: now)
        case .over:
            break
        }
        return false
    }

    /// The connection is there, TLS not yet.
    mutating func securing() { self.isSecuring = true }

    /// The connection is there, TLS included.
    mutating func opened(now: MonotonicTime) {
        self.isSecuring = false
        self.hasHeard = false
        guard case .connecting(let since) = self.state else { return }
        self.reader.reset()
        self.greeting = Greeting(self.settings, scripts: self.scripts, to: self.counterpart)
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
            self.pipeline.lose()
            // One that comes and goes is no better than none.
            if now.since(since) >= self.settings.longestRetryWait { self.backoff.reset() }
        }
        self.untoldOutage = self.explanation(of: outage)
        self.isSecuring = false
        self.state = .resting(until: now.advanced(by: self.backoff.next()))
    }

    /// What is probably wrong where one end speaks TLS and the other does not: neither says so.
    private func explanation(of outage: RedisOutage) -> RedisOutage {
        switch (self.state, outage) {
        case (.connecting, .socket(.timedOut, let place)) where self.isSecuring: .notTLS(place: place, reason: "it is silent")
        // An alert is TLS, too: the other end has reasons of its own.
        case (.connecting, .tls(.handshakeFailed(reason: let reason))) where self.isSecuring && !reason.contains("alert"):
            .notTLS(place: self.name, reason: reason)
        case (.greeting, .ended) where !self.hasHeard && !self.settings.url.isSecure,
            (.greeting, .broken) where !self.hasHeard && !self.settings.url.isSecure:
            .unanswered(place: self.name)
        default: outage
        }
    }

    /// The next attempt to connect is due at once.
    mutating func hurry(now: MonotonicTime) {
        if case .resting = self.state { self.state = .resting(until: now) }
    }

    /// Says why there is no connection, while nobody even knows where to connect to.
    mutating func despair(_ outage: RedisOutage) {
        if case .resting = self.state { self.untoldOutage = outage }
    }

    /// Everything ends, and nothing is told any more.
    mutating func close() {
        self.state = .over
        self.untoldOutage = nil
        self.pipeline.forget()
    }

    private func isGreetingOverdue(now: MonotonicTime) -> Bool {
        guard case .greeting = self.state else { return false }
        return self.silence(since: self.heardAt, now: now) >= self.settings.silencePatience
    }

    /// How long nothing at all has come that could have been heard.
    private func silence(since asked: MonotonicTime, now: MonotonicTime) -> Duration {
        now.since(max(asked, self.heardAt, self.awakeSince))
    }

    private mutating func checkSilence(readySince: MonotonicTime, now: MonotonicTime) {
        if let asked = self.pipeline.first.map({ max($0.writtenAt, readySince) }) ?? self.pingedAt {
            let age = now.since(asked)
            if age >= self.settings.commandPatience || self.silence(since: asked, now: now) >= self.settings.silencePatience {
                self.lose(.silent(milliseconds: age.wholeNanoseconds / 1_000_000), now: now)
            }
        } else if now.since(self.heardAt) >= self.settings.pingAfter {
            self.pingedAt = now
            switch self.purpose {
            case .commands: self.pipeline.append(.ping, now: now) { $0.append("PING") }
            case .subscription: self.say { $0.append("PING") }
            }
        }
    }

    // MARK: Sending

    /// Writes a command, behind all others. Throws `queueFull` or `closed`, and then it is not written.
    @inline(__always)
    mutating func command(
        tag: UInt64, slot: RedisSlot = .any, now: MonotonicTime, _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        if self.state == .over { throw .closed }
        try self.pipeline.write(tag: tag, slot: slot, now: now, write)
    }

    /// Writes a command whose reply nobody wants, so that none comes.
    ///
    /// - Returns: false when it was not written: there is no connection, its server cannot do that, or too much waits to be sent.
    mutating func commandUnheard(_ write: (inout RedisCommandWriter) -> Void) -> Bool {
        self.isReady && self.greeting.mayMute && self.pipeline.writeUnheard(write)
    }

    /// Writes a command that another server has handed back, or that has waited for a server.
    ///
    /// - Parameter asking: the server does not have the slot yet, but may have the key.
    mutating func deliver(_ parcel: Parcel, asking: Bool, now: MonotonicTime) {
        // Else a server could be found silent that has just been asked.
        self.pipeline.append(parcel, asking: asking, now: self.isReady ? now : parcel.writtenAt)
    }

    /// Takes out, in order, the commands that wait for a connection.
    mutating func withdraw() -> [Parcel] {
        self.isReady ? [] : self.pipeline.withdraw()
    }

    /// Writes what no reply of its own comes to. Lost where there is no connection.
    mutating func say(_ write: (inout RedisCommandWriter) -> Void) {
        if self.isReady { self.pipeline.say(write) }
    }

    /// Whether there is something to send now.
    var hasUnsent: Bool {
        switch self.state {
        case .greeting: self.greeting.output.unsentCount > 0
        case .ready: self.pipeline.hasUnsent
        case .resting, .connecting, .over: false
        }
    }

    func withUnsent<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        self.isReady ? self.pipeline.withUnsent(body) : self.greeting.output.withUnsent(body)
    }

    mutating func didSend(_ count: Int) {
        if self.isReady { self.pipeline.didSend(count) } else { self.greeting.didSend(count) }
    }

    // MARK: Hearing

    /// Takes bytes that came in, some kilobytes at a time; each time all events are to be taken out.
    mutating func receive(_ bytes: UnsafeRawBufferPointer, now: MonotonicTime) {
        // A TLS server's alert: what it was sent is no handshake.
        if !self.hasHeard, !self.settings.url.isSecure, bytes.starts(with: [0x15, 0x03]) {
            return self.lose(.speaksTLS(place: self.name), now: now)
        }
        self.hasHeard = true
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
                    let error = RedisError(reply: reply.bytes)
                    // The channel is elsewhere.
                    if self.counterpart == .clusterNode, case .moved = error { return .returned([], error) }
                    self.lose(.refused(error), now: now)
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
        let start = self.pipeline.takenEnd
        guard let command = self.pipeline.popFirst() else {
            // Such as "-ERR max number of clients reached", and nothing good in any case.
            self.lose(reply.kind == .error ? .refused(RedisError(reply: reply.bytes)) : .reply(.malformed("nobody asked for it")), now: now)
            return nil
        }
        defer { self.pipeline.free(command) }
        guard reply.kind == .error else {
            return command.isUsers ? .reply(reply, tag: command.tag) : nil
        }
        let error = RedisError(reply: reply.bytes)
        switch command.kind {
        case .user, .wait:
            if error == .scriptLost { self.loadScripts(for: command, now: now) }
            if self.counterpart == .clusterNode, error.isForAnotherServer {
                return .returned(self.pipeline.takeBack(command, from: start), error)
            }
            // The rest of what is under way is in doubt at best: it was never the master's, or is no more. Another connection may find who is:
            // sentinels say, or the name leads to another server.
            if self.counterpart != .clusterNode, error == .readOnly || error == .masterDown { self.lose(.refused(error), now: now) }
            return .failed(error, tag: command.tag)
        case .ping, .silent:
            return nil
        case .loadScript:
            self.lose(.refused(error), now: now)
            return nil
        }
    }

    /// Before its sender hears of it, so that what the sender writes next comes behind. Many may fail for the same reason: once for all
    /// that were written before.
    private mutating func loadScripts(for command: Pipeline.Command, now: MonotonicTime) {
        guard command.end > self.scriptsLoadedAt else { return }
        for script in self.scripts { self.pipeline.append(.loadScript, now: now) { $0.append(loading: script) } }
        self.scriptsLoadedAt = self.pipeline.end
    }

    private mutating func shakeHands(now: MonotonicTime) -> Event? {
        while let reply = self.reply(now: now) {
            do throws(RedisOutage) {
                try self.greeting.hear(reply)
            } catch {
                self.lose(error, now: now)
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
        return self.pipeline.nextFailure().map { .failed($0.error, tag: $0.tag) }
    }
}

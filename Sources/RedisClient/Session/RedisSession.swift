internal import Bytes
internal import EventLoop
internal import TLS

/// One connection to a Redis server as a value: when to connect, what to say first, whose reply is whose, what has taken too long.
///
/// It reads no clock and opens no socket. Whoever holds it connects when it is told to, sends what is unsent, feeds it what arrives, and
/// asks for events until there are none; nothing is ever told but by `next(now:)`, so the order of events is the order of that.
struct RedisSession {
    /// What replies are.
    enum SessionMode {
        /// Each answers a command.
        case commands
        /// They are pushed.
        case subscription
    }

    /// What the server is among the others.
    enum ServerRole: Equatable {
        /// The only one.
        case standalone
        /// The one that sentinels name: it must say itself that it is the master, and when it is no more it is left.
        case master
        /// What it says is elsewhere is handed back, to be sent there.
        case clusterNode
        /// It knows a server. The password is for the servers, and for it only when it asks for one.
        case sentinel(authenticates: Bool)

        var isSentinel: Bool { if case .sentinel = self { true } else { false } }
    }

    enum State: Equatable {
        /// There is no connection, and there shall be one at this time.
        case disconnected(retryAt: MonotonicTime)
        /// Somebody connects.
        case connecting(since: MonotonicTime)
        case handshaking(since: MonotonicTime)
        case ready(since: MonotonicTime)
        case closed
    }

    enum Event {
        case ready(epoch: Int)
        /// There is no connection any more, or no attempt. Whatever socket there is, is to be closed.
        case unavailable(RedisOutage)
        /// Good until the next call of anything here.
        case reply(RedisReply, tag: UInt64)
        case failed(RedisError, tag: UInt64)
        case push(RedisReply)
        /// The server has not done a command and says why: another has to, or itself later. Behind it come the WAITs that its user
        /// wrote right behind it, because they are about what it does; the server's own answers to them are not told.
        case notExecuted([QueuedCommand], RedisError)
    }

    private let settings: RedisSettings
    private let scripts: [RedisScript]
    private let mode: SessionMode
    var serverRole: ServerRole
    /// What outages call the server.
    var serverName: String
    private let reader: RedisReplyReader
    private(set) var state: State
    private(set) var epoch = 0
    private var backoff: ReconnectBackoff
    private var handshake: RedisHandshake
    private var pipeline: Pipeline
    private var unreportedOutage: RedisOutage?
    /// Commands that end before this place were sent before the scripts were loaded again.
    private var scriptsReloadedEnd: UInt64 = 0
    private var lastReceivedAt = MonotonicTime(nanoseconds: .min)
    /// Whether anything was heard over the present connection.
    private var hasReceived = false
    /// The connection is there, and TLS is being agreed on.
    private var isInTLSHandshake = false
    private var pingedAt: MonotonicTime?
    private var tickedAt = MonotonicTime(nanoseconds: 0)
    /// Since then ticks have come as they should.
    private var responsiveSince = MonotonicTime(nanoseconds: 0)

    /// A loop whose ticks are so far apart has stood still and heard nobody: what came meanwhile is still to be read.
    private static let stallThreshold = Duration.seconds(1)

    init(
        _ settings: RedisSettings, scripts: [RedisScript] = [],
        for purpose: SessionMode = .commands, with counterpart: ServerRole = .standalone,
        seed: UInt64
    ) {
        self.settings = settings
        self.scripts = scripts
        self.mode = purpose
        self.serverRole = counterpart
        self.serverName = settings.url.description
        self.pipeline = Pipeline(isClusterNode: counterpart == .clusterNode, settings)
        self.reader = RedisReplyReader(byteLimit: settings.replyByteLimit)
        self.state = .disconnected(retryAt: MonotonicTime(nanoseconds: .min))
        self.backoff = ReconnectBackoff(
            first: settings.firstRetryWait, longest: settings.longestRetryWait, seed: seed)
        self.handshake = RedisHandshake(settings, scripts: scripts, to: counterpart)
    }

    /// How long the server has owed the next answer.
    func pendingReplyAge(now: MonotonicTime) -> Duration {
        guard case .ready(let since) = self.state, let command = self.pipeline.first else {
            return .zero
        }
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
        if now.since(self.tickedAt) > Self.stallThreshold { self.responsiveSince = now }
        self.tickedAt = now
        switch self.state {
        case .disconnected(let until):
            self.pipeline.expire(before: now.advanced(by: .zero - self.settings.commandTimeout))
            // Not before the end of the last connection was told: until then its socket is there.
            guard mayConnect, now >= until, self.unreportedOutage == nil else { return false }
            self.state = .connecting(since: now)
            return true
        case .connecting(let since), .handshaking(let since):
            self.pipeline.expire(before: now.advanced(by: .zero - self.settings.commandTimeout))
            if now.since(since) >= self.settings.connectTimeout || self.isHandshakeOverdue(now: now)
            {
                self.disconnect(.socket(.timedOut, server: self.serverName), now: now)
            }
        case .ready(let since):
            self.checkSilence(readySince: since, now: now)
        case .closed:
            break
        }
        return false
    }

    /// The connection is there, TLS not yet.
    mutating func startedTLS() { self.isInTLSHandshake = true }

    /// The connection is there, TLS included.
    mutating func opened(now: MonotonicTime) {
        self.isInTLSHandshake = false
        self.hasReceived = false
        guard case .connecting(let since) = self.state else { return }
        self.reader.reset()
        self.handshake = RedisHandshake(self.settings, scripts: self.scripts, to: self.serverRole)
        self.state = .handshaking(since: since)
        self.lastReceivedAt = now
        self.pingedAt = nil
    }

    /// The connection has gone, or none came about.
    mutating func disconnect(_ outage: RedisOutage, now: MonotonicTime) {
        switch self.state {
        case .disconnected, .closed: return
        case .connecting, .handshaking: break
        case .ready(let since):
            self.pipeline.failAll()
            // One that comes and goes is no better than none.
            if now.since(since) >= self.settings.longestRetryWait { self.backoff.reset() }
        }
        self.unreportedOutage = self.explanation(of: outage)
        self.isInTLSHandshake = false
        self.state = .disconnected(retryAt: now.advanced(by: self.backoff.next()))
    }

    /// What is probably wrong where one end speaks TLS and the other does not: neither says so.
    private func explanation(of outage: RedisOutage) -> RedisOutage {
        switch (self.state, outage) {
        case (.connecting, .socket(.timedOut, let place)) where self.isInTLSHandshake:
            .notTLS(server: place, reason: "it is silent")
        // An alert is TLS, too: the other end has reasons of its own.
        case (.connecting, .tls(.handshakeFailed(reason: let reason)))
        where self.isInTLSHandshake && !reason.contains("alert"):
            .notTLS(server: self.serverName, reason: reason)
        case (.handshaking, .ended) where !self.hasReceived && !self.settings.url.isSecure,
            (.handshaking, .broken) where !self.hasReceived && !self.settings.url.isSecure:
            .unanswered(server: self.serverName)
        default: outage
        }
    }

    /// The next attempt to connect is due at once.
    mutating func retryImmediately(now: MonotonicTime) {
        if case .disconnected = self.state { self.state = .disconnected(retryAt: now) }
    }

    /// Says why there is no connection, while nobody even knows where to connect to.
    mutating func reportOutage(_ outage: RedisOutage) {
        if case .disconnected = self.state { self.unreportedOutage = outage }
    }

    /// Everything ends, and nothing is told any more.
    mutating func close() {
        self.state = .closed
        self.unreportedOutage = nil
        self.pipeline.removeAll()
    }

    private func isHandshakeOverdue(now: MonotonicTime) -> Bool {
        guard case .handshaking = self.state else { return false }
        return self.silence(since: self.lastReceivedAt, now: now) >= self.settings.silenceTimeout
    }

    /// How long nothing at all has come that could have been heard.
    private func silence(since asked: MonotonicTime, now: MonotonicTime) -> Duration {
        now.since(max(asked, self.lastReceivedAt, self.responsiveSince))
    }

    private mutating func checkSilence(readySince: MonotonicTime, now: MonotonicTime) {
        if let asked = self.pipeline.first.map({ max($0.writtenAt, readySince) }) ?? self.pingedAt {
            let age = now.since(asked)
            if age >= self.settings.commandTimeout
                || self.silence(since: asked, now: now) >= self.settings.silenceTimeout
            {
                self.disconnect(.silent(milliseconds: age.wholeNanoseconds / 1_000_000), now: now)
            }
        } else if now.since(self.lastReceivedAt) >= self.settings.pingAfter {
            self.pingedAt = now
            switch self.mode {
            case .commands: self.pipeline.append(.ping, now: now) { $0.append("PING") }
            case .subscription: self.send { $0.append("PING") }
            }
        }
    }

    // MARK: Sending

    /// Writes a command, behind all others. Throws `queueFull` or `closed`, and then it is not written.
    @inline(__always)
    mutating func command(
        tag: UInt64, slot: RedisSlot = .any, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        if self.state == .closed { throw .closed }
        try self.pipeline.write(tag: tag, slot: slot, now: now, write)
    }

    /// Writes a command whose reply nobody wants, so that none comes.
    ///
    /// - Returns: false when it was not written: there is no connection, its server cannot do that, or too much waits to be sent.
    mutating func commandWithoutReply(_ write: (inout RedisCommandWriter) -> Void) -> Bool {
        self.isReady && self.handshake.canSuppressReplies && self.pipeline.writeWithoutReply(write)
    }

    /// Writes a command that another server has handed back, or that has waited for a server.
    ///
    /// - Parameter asking: the server does not have the slot yet, but may have the key.
    mutating func enqueue(_ parcel: QueuedCommand, asking: Bool, now: MonotonicTime) {
        // Else a server could be found silent that has just been asked.
        self.pipeline.append(parcel, asking: asking, now: self.isReady ? now : parcel.writtenAt)
    }

    /// Takes out, in order, the commands that wait for a connection.
    mutating func withdrawWaiting() -> [QueuedCommand] {
        self.isReady ? [] : self.pipeline.withdrawWaiting()
    }

    /// Writes what no reply of its own comes to. Lost where there is no connection.
    mutating func send(_ write: (inout RedisCommandWriter) -> Void) {
        if self.isReady { self.pipeline.writeUntracked(write) }
    }

    /// Whether there is something to send now.
    var hasUnsent: Bool {
        switch self.state {
        case .handshaking: self.handshake.output.unsentCount > 0
        case .ready: self.pipeline.hasUnsent
        case .disconnected, .connecting, .closed: false
        }
    }

    func withUnsent<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        self.isReady ? self.pipeline.withUnsent(body) : self.handshake.output.withUnsent(body)
    }

    mutating func didSend(_ count: Int) {
        if self.isReady { self.pipeline.didSend(count) } else { self.handshake.didSend(count) }
    }

    // MARK: Hearing

    /// Takes bytes that came in, some kilobytes at a time; each time all events are to be taken out.
    mutating func receive(_ bytes: UnsafeRawBufferPointer, now: MonotonicTime) {
        // A TLS server's alert: what it was sent is no handshake.
        if !self.hasReceived, !self.settings.url.isSecure, bytes.starts(with: [0x15, 0x03]) {
            return self.disconnect(.speaksTLS(server: self.serverName), now: now)
        }
        self.hasReceived = true
        self.lastReceivedAt = now
        self.pingedAt = nil
        do throws(RedisReplyError) {
            try self.reader.feed(bytes)
        } catch {
            self.disconnect(.reply(error), now: now)
        }
    }

    /// What there is to be told next; nil when that is all.
    @inline(__always)
    mutating func next(now: MonotonicTime) -> Event? {
        while true {
            switch self.state {
            case .ready:
                guard let reply = self.nextReply(now: now) else {
                    if self.isReady { return nil }
                    continue
                }
                if self.mode == .subscription {
                    if reply.kind != .error { return .push(reply) }
                    let error = RedisError(reply: reply.bytes)
                    // The channel is elsewhere.
                    if self.serverRole == .clusterNode, case .moved = error {
                        return .notExecuted([], error)
                    }
                    self.disconnect(.refused(error), now: now)
                } else if let event = self.handleReply(reply, now: now) {
                    return event
                }
            case .handshaking:
                if let event = self.performHandshake(now: now) { return event }
                // Commands do not wait any longer for a server that does not greet back.
                if case .handshaking = self.state { return self.nextFailure() }
            case .disconnected, .connecting:
                return self.nextFailure()
            case .closed:
                return nil
            }
        }
    }

    @inline(__always)
    private mutating func nextReply(now: MonotonicTime) -> RedisReply? {
        do throws(RedisReplyError) {
            return try self.reader.next()
        } catch {
            self.disconnect(.reply(error), now: now)
            return nil
        }
    }

    /// The reply to the oldest command; nil when that is one of our own.
    @inline(__always)
    private mutating func handleReply(_ reply: RedisReply, now: MonotonicTime) -> Event? {
        let start = self.pipeline.dequeuedEnd
        guard let command = self.pipeline.popFirst() else {
            // Such as "-ERR max number of clients reached", and nothing good in any case.
            self.disconnect(
                reply.kind == .error
                    ? .refused(RedisError(reply: reply.bytes))
                    : .reply(.malformed("nobody asked for it")), now: now)
            return nil
        }
        defer { self.pipeline.free(command) }
        guard reply.kind == .error else {
            return command.isFromUser ? .reply(reply, tag: command.tag) : nil
        }
        let error = RedisError(reply: reply.bytes)
        switch command.kind {
        case .user, .wait:
            if error == .scriptLost { self.loadScripts(for: command, now: now) }
            if self.serverRole == .clusterNode, error.isRedirection {
                return .notExecuted(
                    self.pipeline.extractForRedirection(command, from: start), error)
            }
            // The rest of what is under way is in doubt at best: it was never the master's, or is no more. Another connection may find who is:
            // sentinels say, or the name leads to another server.
            if self.serverRole != .clusterNode, error == .readOnly || error == .masterDown {
                self.disconnect(.refused(error), now: now)
            }
            return .failed(error, tag: command.tag)
        case .ping, .ignored:
            return nil
        case .loadScript:
            self.disconnect(.refused(error), now: now)
            return nil
        }
    }

    /// Before its sender hears of it, so that what the sender writes next comes behind. Many may fail for the same reason: once for all
    /// that were written before.
    private mutating func loadScripts(for command: Pipeline.Command, now: MonotonicTime) {
        guard command.end > self.scriptsReloadedEnd else { return }
        for script in self.scripts {
            self.pipeline.append(.loadScript, now: now) { $0.append(loading: script) }
        }
        self.scriptsReloadedEnd = self.pipeline.end
    }

    private mutating func performHandshake(now: MonotonicTime) -> Event? {
        while let reply = self.nextReply(now: now) {
            do throws(RedisOutage) {
                try self.handshake.receive(reply)
            } catch {
                self.disconnect(error, now: now)
                return nil
            }
            guard self.handshake.isComplete else { continue }
            self.state = .ready(since: now)
            self.epoch += 1
            return .ready(epoch: self.epoch)
        }
        return nil
    }

    private mutating func nextFailure() -> Event? {
        if let outage = self.unreportedOutage {
            self.unreportedOutage = nil
            return .unavailable(outage)
        }
        return self.pipeline.nextFailure().map { .failed($0.error, tag: $0.tag) }
    }
}

internal import Bytes
internal import EventLoop
internal import TLS

/// One connection to a Redis server as a value: decides when to connect, performs the handshake,
/// matches replies with commands and enforces timeouts.
///
/// It reads no clock and opens no socket. Its owner connects when told to, sends unsent bytes,
/// passes received bytes in, and then consumes all events. Events come only from `next(now:)`, so
/// their order is the order of its results.
struct RedisSession {
    private let settings: RedisSettings
    private let scripts: [RedisScript]
    private let mode: SessionMode
    var serverRole: ServerRole
    /// The name of the server in outages.
    var serverName: String
    private let reader: RedisReplyReader
    private(set) var state: State
    private(set) var epoch = 0
    private var backoff: ReconnectBackoff
    private var handshake: RedisHandshake
    private var pipeline: Pipeline
    private var unreportedOutage: RedisOutage?
    /// The server has replied that it is no master. Nothing more is sent to it, and the connection
    /// ends after the replies to what was sent before this offset.
    private var demotion: (outage: RedisOutage, sentEnd: UInt64)?
    /// Commands that end before this offset were sent before the scripts were reloaded.
    private var scriptsReloadedEnd: UInt64 = 0
    private var lastReceivedAt = MonotonicTime(nanoseconds: .min)
    /// Whether this connection has received any bytes.
    private var hasReceived = false
    /// TCP is connected, and TLS is being negotiated.
    private var isInTLSHandshake = false
    private var pingedAt: MonotonicTime?
    private var tickedAt = MonotonicTime(nanoseconds: 0)
    /// Since then ticks have come without a stall.
    private var responsiveSince = MonotonicTime(nanoseconds: 0)

    /// A longer gap between ticks means that the loop has stalled: bytes that arrived meanwhile are
    /// still unread.
    private static let stallThreshold = Duration.seconds(1)

    init(
        _ settings: RedisSettings, scripts: [RedisScript] = [],
        for mode: SessionMode = .commands, with role: ServerRole = .standalone,
        seed: UInt64
    ) {
        self.settings = settings
        self.scripts = scripts
        self.mode = mode
        self.serverRole = role
        self.serverName = settings.url.description
        self.pipeline = Pipeline(isRedisClusterNode: role == .clusterNode, settings)
        self.reader = RedisReplyReader(byteLimit: settings.replyByteLimit)
        self.state = .disconnected(retryAt: MonotonicTime(nanoseconds: .min))
        self.backoff = ReconnectBackoff(
            first: settings.firstRetryWait, longest: settings.longestRetryWait, seed: seed)
        self.handshake = RedisHandshake(settings, scripts: scripts, to: role)
    }

    /// How long the oldest reply has been outstanding.
    func pendingReplyAge(now: MonotonicTime) -> Duration {
        guard case .ready(let since) = self.state, let command = self.pipeline.first else {
            return .zero
        }
        return now.since(max(command.writtenAt, since))
    }

    var isReady: Bool { if case .ready = self.state { true } else { false } }

    /// The number of commands without a reply.
    var commandCount: Int { self.pipeline.count }

    // MARK: Connecting

    /// Must be called regularly.
    ///
    /// - Parameter mayConnect: false while the server's address is unknown.
    /// - Returns: true when it is time to connect; then `opened` or `disconnect` must follow.
    mutating func tick(now: MonotonicTime, mayConnect: Bool = true) -> Bool {
        if now.since(self.tickedAt) > Self.stallThreshold { self.responsiveSince = now }
        self.tickedAt = now
        switch self.state {
        case .disconnected(let until):
            self.pipeline.expire(before: now.advanced(by: .zero - self.settings.commandTimeout))
            // The previous socket exists until its outage has been reported.
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

    /// TCP is connected, TLS is not.
    mutating func startedTLS() { self.isInTLSHandshake = true }

    /// The connection is established, including TLS.
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

    /// The connection or the attempt has failed.
    mutating func disconnect(_ outage: RedisOutage, now: MonotonicTime) {
        switch self.state {
        case .disconnected, .closed: return
        case .connecting, .handshaking: break
        case .ready(let since):
            self.pipeline.failAll()
            // A connection that fails soon is no better than none.
            if now.since(since) >= self.settings.longestRetryWait { self.backoff.reset() }
        }
        self.unreportedOutage = self.explanation(of: outage)
        self.demotion = nil
        self.isInTLSHandshake = false
        self.state = .disconnected(retryAt: now.advanced(by: self.backoff.next()))
    }

    /// The probable cause when only one end speaks TLS, because neither end reports it.
    private func explanation(of outage: RedisOutage) -> RedisOutage {
        switch (self.state, outage) {
        case (.connecting, .socket(.timedOut, let server)) where self.isInTLSHandshake:
            .notTLS(server: server, reason: "it sent nothing")
        // An alert is a TLS message, so the other end has another reason.
        case (.connecting, .tls(.handshakeFailed(reason: let reason)))
        where self.isInTLSHandshake && !reason.includes("alert"):
            .notTLS(server: self.serverName, reason: reason)
        case (.handshaking, .ended) where !self.hasReceived && !self.settings.url.isSecure,
            (.handshaking, .broken) where !self.hasReceived && !self.settings.url.isSecure:
            .unanswered(server: self.serverName)
        default: outage
        }
    }

    /// Makes the next connection attempt due now.
    mutating func retryImmediately(now: MonotonicTime) {
        if case .disconnected = self.state { self.state = .disconnected(retryAt: now) }
    }

    /// Reports why there is no connection while the server's address is unknown.
    mutating func reportOutage(_ outage: RedisOutage) {
        if case .disconnected = self.state { self.unreportedOutage = outage }
    }

    /// Closes the session; nothing more is reported.
    mutating func close() {
        self.state = .closed
        self.unreportedOutage = nil
        self.pipeline.removeAll()
    }

    private func isHandshakeOverdue(now: MonotonicTime) -> Bool {
        guard case .handshaking = self.state else { return false }
        return self.silence(since: self.lastReceivedAt, now: now) >= self.settings.silenceTimeout
    }

    /// How long nothing has been received, apart from times when the loop could not read.
    private func silence(since start: MonotonicTime, now: MonotonicTime) -> Duration {
        now.since(max(start, self.lastReceivedAt, self.responsiveSince))
    }

    private mutating func checkSilence(readySince: MonotonicTime, now: MonotonicTime) {
        if let waitingSince = self.pipeline.first.map({ max($0.writtenAt, readySince) })
            ?? self.pingedAt
        {
            let age = now.since(waitingSince)
            if age >= self.settings.commandTimeout
                || self.silence(since: waitingSince, now: now) >= self.settings.silenceTimeout
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

    /// Appends a command. Throws `queueFull` or `closed` without writing.
    @inline(__always)
    mutating func command(
        tag: CommandTag, slot: RedisSlot = .any, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        if self.state == .closed { throw .closed }
        try self.pipeline.write(tag: tag, slot: slot, now: now, write)
    }

    /// Appends a command whose reply the server suppresses.
    ///
    /// - Returns: false, without writing, if there is no connection, the server does not allow it,
    ///   or too many bytes are unsent.
    mutating func commandWithoutReply(_ write: (inout RedisCommandWriter) -> Void) -> Bool {
        self.isReady && self.handshake.canSuppressReplies && self.pipeline.writeWithoutReply(write)
    }

    /// Appends a command that another server has redirected, or that was queued without a server.
    ///
    /// - Parameter asking: the server does not own the slot yet, but may have the key.
    mutating func enqueue(_ command: QueuedCommand, asking: Bool, now: MonotonicTime) {
        // With the original time, a server that has just received the command could count as
        // silent.
        self.pipeline.append(command, asking: asking, now: self.isReady ? now : command.writtenAt)
    }

    /// Removes and returns the commands that wait for a connection.
    mutating func withdrawWaiting() -> [QueuedCommand] {
        self.isReady ? [] : self.pipeline.withdrawWaiting()
    }

    /// Sends a command that gets no reply of its own. Dropped without a connection.
    mutating func send(_ write: (inout RedisCommandWriter) -> Void) {
        if self.isReady { self.pipeline.writeUntracked(write) }
    }

    /// Whether bytes can be sent now.
    var hasUnsent: Bool {
        switch self.state {
        case .handshaking: self.handshake.output.unsentCount > 0
        case .ready: self.demotion == nil && self.pipeline.hasUnsent
        case .disconnected, .connecting, .closed: false
        }
    }

    func withUnsent<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        self.isReady ? self.pipeline.withUnsent(body) : self.handshake.output.withUnsent(body)
    }

    mutating func didSend(_ count: Int) {
        if self.isReady { self.pipeline.didSend(count) } else { self.handshake.didSend(count) }
    }

    // MARK: Receiving

    /// Processes received bytes, a few kilobytes at a time. All events must be consumed after each
    /// call.
    mutating func receive(_ bytes: UnsafeRawBufferPointer, now: MonotonicTime) {
        // A TLS alert: the server expected a TLS handshake.
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

    /// The next event; nil when there are no more.
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
                    // Another node owns the channel's slot.
                    if self.serverRole == .clusterNode, case .moved = error {
                        return .notExecuted([], error)
                    }
                    self.disconnect(.refused(error), now: now)
                } else if let event = self.handleReply(reply, now: now) {
                    return event
                }
            case .handshaking:
                if let event = self.performHandshake(now: now) { return event }
                // Commands still time out while the server does not complete the handshake.
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

    /// Handles the reply to the oldest command; nil if the client sent that command itself.
    @inline(__always)
    private mutating func handleReply(_ reply: RedisReply, now: MonotonicTime) -> Event? {
        let start = self.pipeline.dequeuedEnd
        guard let command = self.pipeline.popFirst() else {
            // For example "-ERR max number of clients reached"; always fatal.
            self.disconnect(
                reply.kind == .error
                    ? .refused(RedisError(reply: reply.bytes))
                    : .reply(.malformed("a reply without a command")), now: now)
            return nil
        }
        defer {
            self.pipeline.free(command)
            if let demotion, self.pipeline.first?.end ?? .max > demotion.sentEnd {
                self.disconnect(demotion.outage, now: now)
            }
        }
        guard reply.kind == .error else {
            guard command.isFromUser else { return nil }
            return self.demotion == nil
                ? .reply(reply, tag: command.tag)
                : .failed(.connectionLost(mayBeExecuted: true), tag: command.tag)
        }
        let error = RedisError(reply: reply.bytes)
        switch command.kind {
        case .user, .wait:
            if error == .scriptLost { self.loadScripts(for: command, now: now) }
            if self.serverRole == .clusterNode, error.isRedirection {
                return .notExecuted(
                    self.pipeline.extractForRedirection(command, from: start), error)
            }
            // Commands in flight must count as lost if the server executes them: it never was the
            // master, or no longer is. Those that it refuses too have certainly changed nothing. A
            // new connection may reach the master, through the sentinels or through the server's
            // name.
            if self.serverRole != .clusterNode, self.demotion == nil,
                error == .readOnly || error == .masterDown
            {
                self.demotion = (.refused(error), self.pipeline.sentEnd)
            }
            return .failed(error, tag: command.tag)
        case .ping, .ignored:
            return nil
        case .loadScript:
            self.disconnect(.refused(error), now: now)
            return nil
        }
    }

    /// Reloads the scripts before the user learns of the failure, so that its retry comes behind
    /// them. Reloads once for all commands that were written before.
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

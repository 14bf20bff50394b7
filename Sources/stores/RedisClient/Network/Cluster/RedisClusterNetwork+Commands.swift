internal import Bytes
internal import EventLoop

/// Commands: to the master of their slot, to the server that a redirection names, or into the
/// queue.
extension RedisClusterNetwork {
    /// The index of the server for the slot's commands; nil while no server owns the slot.
    ///
    /// Inlined, because a call would copy the whole value for every command.
    @inline(__always)
    func serverIndex(for slot: RedisSlot) -> Int? {
        if let master = self.slotMap.owner(of: slot) { return self.serverIndexes[master] }
        return slot == .any ? Self.firstReady(self.serverIndexes, of: self.servers) : nil
    }

    /// The first server with a connection, or else the first one.
    private static func firstReady(_ indexes: [Int?], of servers: [RedisClusterServer]) -> Int? {
        var best: Int?
        for case .some(let server) in indexes {
            if servers[server].link.session.isReady { return server }
            best = best ?? server
        }
        return best
    }

    func endpoint(of slot: RedisSlot) -> RedisEndpoint? {
        self.serverIndex(for: slot).flatMap { self.servers[$0].link.endpoint }
    }

    func masterID(of slot: RedisSlot) -> Int? {
        self.serverIndex(for: slot).map { self.servers[$0].link.id }
    }

    mutating func command(
        tag: CommandTag, slot: RedisSlot, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        if self.health.isClosed { throw .closed }
        if !self.retryQueue.contains(slot), let server = self.serverIndex(for: slot) {
            return try self.servers[server].link.session.command(
                tag: tag, slot: slot, now: now, write)
        }
        var written = SendBuffer()
        guard self.retryQueue.count < self.settings.commandLimit,
            written.write(
                byteLimit: self.settings.unsentByteLimit - self.retryQueue.byteCount, write)
        else { throw .queueFull }
        let bytes = Array(written.bytes(0..<written.end))
        self.retryQueue.append(
            QueuedCommand(
                tag: tag, slot: slot, isWait: QueuedCommand.isWait(bytes), bytes: bytes,
                writtenAt: now))
    }

    /// Writes a command to one connection, and throws if that connection no longer exists.
    mutating func command(
        tag: CommandTag, slot: RedisSlot, over connection: RedisConnection, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        let index = self.servers.firstIndex {
            $0.connection == connection && $0.link.session.isReady
        }
        guard let index else { throw .connectionLost(mayBeExecuted: false) }
        try self.servers[index].link.session.command(tag: tag, slot: slot, now: now, write)
    }

    // MARK: The queue

    /// Sends queued commands to the servers that own their slots.
    mutating func retryQueued(now: MonotonicTime) {
        guard !self.retryQueue.isEmpty else { return }
        for command in self.retryQueue.drain() {
            // The commands of a slot keep their order.
            if now >= command.retryAt, !self.retryQueue.contains(command.slot),
                let server = self.serverIndex(for: command.slot)
            {
                self.servers[server].link.session.enqueue(command, asking: false, now: now)
            } else {
                self.retryQueue.append(command)
            }
        }
    }

    mutating func expireQueued(now: MonotonicTime) {
        let limit = now.advanced(by: .zero - self.settings.commandTimeout)
        guard self.retryQueue.commands.contains(where: { $0.writtenAt <= limit }) else { return }
        for command in self.retryQueue.drain() {
            if command.writtenAt > limit {
                self.retryQueue.append(command)
            } else {
                self.fail(
                    [command],
                    command.retries > 0
                        ? .tryAgain : self.slotMap.isEmpty ? .noConnection : .clusterDown)
            }
        }
    }

    private mutating func fail(_ commands: [QueuedCommand], _ error: RedisError) {
        for command in commands { self.unreportedFailures.append((error, command.tag)) }
    }

    // MARK: Redirections

    /// Handles commands that a server has not executed.
    mutating func notExecuted(
        _ commands: [QueuedCommand], _ error: RedisError, by index: Int, now: MonotonicTime
    ) {
        let linkID = self.servers[index].link.id
        self.probe.scheduleQuery(now: now)
        if case .moved(let slot, let target) = error {
            let host =
                target.host.isEmpty
                ? self.servers[index].link.endpoint?.host ?? "" : target.host
            self.subscriptions.markUnsubscribed(RedisSlot(slot), on: linkID)
            self.slotMap.move(RedisSlot(slot), to: RedisEndpoint(host: host, port: target.port))
            self.reconcileLinks(now: now)
        }
        if let server = self.servers.firstIndex(where: { $0.link.id == linkID }) {
            self.redirect(commands, error, from: server, now: now)
        } else {
            self.retryQueue.append(contentsOf: commands)
        }
    }

    /// - Parameter server: has rejected the first of the commands. The others are WAITs, which it
    ///   answers as if it had executed the first.
    private mutating func redirect(
        _ commands: [QueuedCommand], _ error: RedisError, from server: Int, now: MonotonicTime
    ) {
        guard let first = commands.first else { return }
        var commands = commands
        switch Redirection(
            error, of: first, host: self.servers[server].link.endpoint?.host ?? "")
        {
        case .fail:
            self.fail(commands, error)
        case .retryLater:
            for index in commands.indices {
                commands[index].retries += 1
                commands[index].retryAt = now.advanced(by: Redirection.retryDelay)
            }
            self.retryQueue.append(contentsOf: commands)
        case .send(let endpoint, let asking):
            let target = self.serverIndex(at: endpoint) ?? self.servers.count
            if target == self.servers.count { self.addServer(at: endpoint) }
            // A link that receives redirected commands is in use.
            if self.servers[target].unusedSince != nil { self.servers[target].unusedSince = now }
            for (index, var command) in commands.enumerated() {
                command.redirects += 1
                self.servers[target].link.session.enqueue(
                    command, asking: asking && index == 0, now: now)
            }
        }
        self.needsAnotherPass = true
    }
}

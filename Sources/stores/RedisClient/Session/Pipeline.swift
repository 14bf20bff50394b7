internal import Bytes
internal import EventLoop

/// The commands that await replies, and the bytes of those not yet sent. Replies come in the order
/// of the commands.
///
/// Independent of any connection. When a connection is lost, the commands fail in order, each with
/// whether it may have been executed. Commands written later wait for the next connection.
struct Pipeline {
    /// A command without a reply, sent or unsent.
    struct Command {
        enum Kind: UInt8 {
            case user
            /// A user's WAIT, in a cluster.
            case wait
            case ping, loadScript
            /// The reply is dropped: that of ASKING, and of a WAIT that was redirected.
            case ignored
        }

        var tag: CommandTag
        /// The offset behind it in `sendBuffer`. It begins where the previous command ends.
        var end: UInt64
        var writtenAt: MonotonicTime
        var kind: Kind
        var slot = RedisSlot.any
        var redirects: UInt8 = 0
        var retries: UInt8 = 0

        var isFromUser: Bool { self.kind == .user || self.kind == .wait }
    }

    private let isRedisClusterNode: Bool
    private let commandLimit: Int
    private let unsentByteLimit: Int
    private var sendBuffer: SendBuffer
    private var commands = Fifo<Command>()
    /// The offset behind the last dequeued command.
    private(set) var dequeuedEnd: UInt64 = 0

    /// How many commands were in flight when the connection broke, and up to which offset they were
    /// sent.
    private var lostCount = 0
    private var lostSentEnd: UInt64 = 0
    /// Commands written up to this time have waited too long for a connection.
    private var expiredBefore = MonotonicTime(nanoseconds: .min)

    /// - Parameter isRedisClusterNode: commands may be redirected, so sent bytes are lost until the
    ///   reply.
    init(isRedisClusterNode: Bool, _ settings: RedisSettings) {
        self.isRedisClusterNode = isRedisClusterNode
        self.commandLimit = settings.commandLimit
        self.unsentByteLimit = settings.unsentByteLimit
        self.sendBuffer = SendBuffer(retainsSent: isRedisClusterNode)
    }

    var count: Int { self.commands.count }
    /// The command whose reply comes next.
    var first: Command? { self.commands.first }
    /// The offset behind everything written.
    var end: UInt64 { self.sendBuffer.end }
    /// The offset behind everything sent.
    var sentEnd: UInt64 { self.sendBuffer.sent }

    // MARK: Writing

    /// Appends a command. Throws `queueFull` without writing.
    @inline(__always)
    mutating func write(
        tag: CommandTag, slot: RedisSlot, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        let start = self.sendBuffer.end
        guard self.commands.count < self.commandLimit,
            self.sendBuffer.write(byteLimit: self.unsentByteLimit, write)
        else {
            throw .queueFull
        }
        let end = self.sendBuffer.end
        let isWait =
            self.isRedisClusterNode && QueuedCommand.isWait(self.sendBuffer.bytes(start..<end))
        self.commands.append(
            Command(tag: tag, end: end, writtenAt: now, kind: isWait ? .wait : .user, slot: slot))
    }

    /// Appends a command that another server has redirected, or that was queued without a server.
    ///
    /// - Parameter asking: the server does not own the slot yet, but may have the key.
    mutating func append(_ command: QueuedCommand, asking: Bool, now: MonotonicTime) {
        if asking { self.append(.ignored, now: now) { $0.append("ASKING") } }
        self.sendBuffer.append(command.bytes)
        self.commands.append(
            Command(
                tag: command.tag, end: self.sendBuffer.end, writtenAt: now,
                kind: command.isWait ? .wait : .user, slot: command.slot,
                redirects: command.redirects, retries: command.retries))
    }

    /// Appends a command of the client itself.
    mutating func append(
        _ kind: Command.Kind, now: MonotonicTime, _ write: (inout RedisCommandWriter) -> Void
    ) {
        self.writeUntracked(write)
        self.commands.append(Command(tag: 0, end: self.sendBuffer.end, writtenAt: now, kind: kind))
    }

    /// Appends a command that gets no reply of its own.
    mutating func writeUntracked(_ write: (inout RedisCommandWriter) -> Void) {
        _ = self.sendBuffer.write(byteLimit: .max, write)
    }

    /// Appends a command preceded by CLIENT REPLY SKIP. That saves a write on the server and a
    /// wakeup here.
    ///
    /// - Returns: false, without writing, if too many bytes are unsent.
    mutating func writeWithoutReply(_ write: (inout RedisCommandWriter) -> Void) -> Bool {
        let start = self.sendBuffer.end
        self.writeUntracked {
            $0.append("CLIENT")
            $0.append("REPLY")
            $0.append("SKIP")
        }
        if self.sendBuffer.write(byteLimit: self.unsentByteLimit, write) { return true }
        self.sendBuffer.truncate(to: start)
        return false
    }

    // MARK: Sending

    var hasUnsent: Bool { self.sendBuffer.unsentCount > 0 }

    func withUnsent<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        self.sendBuffer.withUnsent(body)
    }

    mutating func didSend(_ count: Int) { self.sendBuffer.didSend(count) }

    // MARK: Dequeuing

    @inline(__always)
    mutating func popFirst() -> Command? {
        guard let command = self.commands.popFirst() else { return nil }
        // A lost command may be dequeued after later ones were withdrawn.
        self.dequeuedEnd = max(self.dequeuedEnd, command.end)
        return command
    }

    /// Releases the bytes of a dequeued command.
    @inline(__always)
    mutating func free(_ command: Command) {
        if self.isRedisClusterNode { self.sendBuffer.free(to: command.end) }
    }

    /// Extracts a command that was not executed, and the WAITs directly behind it.
    mutating func extractForRedirection(_ command: Command, from start: UInt64) -> [QueuedCommand] {
        var extracted = [self.queuedCommand(command, from: start)]
        var end = command.end
        for index in 0..<self.commands.count {
            let next = self.commands[index]
            if next.slot == command.slot {
                guard next.kind == .wait else { break }
                extracted.append(self.queuedCommand(next, from: end))
                self.commands[index].kind = .ignored
            }
            end = next.end
        }
        return extracted
    }

    /// Removes and returns the commands that wait for a connection. To be called only without one.
    mutating func withdrawWaiting() -> [QueuedCommand] {
        var lost = Fifo<Command>()
        var withdrawn: [QueuedCommand] = []
        for index in 0..<self.commands.count {
            let command = self.commands[index]
            if index < self.lostCount {
                lost.append(command)
            } else if command.isFromUser {
                withdrawn.append(
                    self.queuedCommand(
                        command, from: index == 0 ? self.dequeuedEnd : self.commands[index - 1].end)
                )
            }
        }
        self.commands = lost
        self.dequeuedEnd = self.sendBuffer.end
        self.sendBuffer.clear()
        return withdrawn
    }

    private func queuedCommand(_ command: Command, from start: UInt64) -> QueuedCommand {
        QueuedCommand(
            tag: command.tag, slot: command.slot, isWait: command.kind == .wait,
            bytes: Array(self.sendBuffer.bytes(start..<command.end)),
            writtenAt: command.writtenAt, redirects: command.redirects, retries: command.retries)
    }

    // MARK: Failing

    /// Fails all commands, because the connection is lost.
    mutating func failAll() {
        self.lostCount = self.commands.count
        self.lostSentEnd = self.sendBuffer.sent
        self.sendBuffer.clear()
    }

    /// Fails commands written up to this time: they have waited too long for a connection.
    mutating func expire(before time: MonotonicTime) {
        self.expiredBefore = time
    }

    /// Discards everything without reporting it.
    mutating func removeAll() {
        self.commands = Fifo()
        self.dequeuedEnd = self.sendBuffer.end
        self.lostCount = 0
        self.sendBuffer.clear()
    }

    /// The next failed command; to be called only without a connection.
    mutating func nextFailure() -> (error: RedisError, tag: CommandTag)? {
        while self.lostCount > 0, let command = self.popFirst() {
            self.lostCount -= 1
            if command.isFromUser {
                return (
                    .connectionLost(mayBeExecuted: command.end <= self.lostSentEnd), command.tag
                )
            }
        }
        while let command = self.commands.first, command.writtenAt <= self.expiredBefore {
            _ = self.popFirst()
            self.sendBuffer.free(to: command.end)
            if command.isFromUser { return (.noConnection, command.tag) }
        }
        return nil
    }
}

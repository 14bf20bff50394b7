internal import Bytes
internal import EventLoop

/// Commands that wait for their replies, with the bytes of those that have not left: replies come in the order of the commands.
///
/// It knows no connection. When one is lost, what was there fails, in order and each with whether it may be done; what is written from
/// then on waits for the next.
struct Pipeline {
    /// A command that waits for its reply, be it sent or not.
    struct Command {
        enum Kind: UInt8 {
            case user
            /// A user's WAIT, in a cluster.
            case wait
            case ping, loadScript
            /// Nobody is told its answer: ASKING, and a WAIT that was handed back.
            case ignored
        }

        var tag: UInt64
        /// The place behind it in `sendBuffer`. It begins where the command before it ends.
        var end: UInt64
        var writtenAt: MonotonicTime
        var kind: Kind
        var slot = RedisSlot.any
        var redirects: UInt8 = 0
        var retries: UInt8 = 0

        var isFromUser: Bool { self.kind == .user || self.kind == .wait }
    }

    private let isClusterNode: Bool
    private let commandLimit: Int
    private let unsentByteLimit: Int
    private var sendBuffer: SendBuffer
    private var commands = Fifo<Command>()
    /// The place behind the last command that was taken out.
    private(set) var dequeuedEnd: UInt64 = 0

    /// So many of the commands were there when the connection broke, and how far they had left.
    private var lostCount = 0
    private var lostSentEnd: UInt64 = 0
    /// Commands that were written until then have waited too long for a connection.
    private var expiredBefore = MonotonicTime(nanoseconds: .min)

    /// - Parameter isClusterNode: what is said to be elsewhere is handed back, so what has left is kept until it is answered.
    init(isClusterNode: Bool, _ settings: RedisSettings) {
        self.isClusterNode = isClusterNode
        self.commandLimit = settings.commandLimit
        self.unsentByteLimit = settings.unsentByteLimit
        self.sendBuffer = SendBuffer(retainsSent: isClusterNode)
    }

    var count: Int { self.commands.count }
    /// The command that is answered next.
    var first: Command? { self.commands.first }
    /// The place behind everything that was written.
    var end: UInt64 { self.sendBuffer.end }

    // MARK: Writing

    /// Writes a command behind all others. Throws `queueFull`, and then it is not written.
    @inline(__always)
    mutating func write(
        tag: UInt64, slot: RedisSlot, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        let start = self.sendBuffer.end
        guard self.commands.count < self.commandLimit,
            self.sendBuffer.write(byteLimit: self.unsentByteLimit, write)
        else {
            throw .queueFull
        }
        let end = self.sendBuffer.end
        let isWait = self.isClusterNode && QueuedCommand.isWait(self.sendBuffer.bytes(start..<end))
        self.commands.append(
            Command(tag: tag, end: end, writtenAt: now, kind: isWait ? .wait : .user, slot: slot))
    }

    /// Writes a command that another server has handed back, or that has waited for a server.
    ///
    /// - Parameter asking: the server does not have the slot yet, but may have the key.
    mutating func append(_ parcel: QueuedCommand, asking: Bool, now: MonotonicTime) {
        if asking { self.append(.ignored, now: now) { $0.append("ASKING") } }
        self.sendBuffer.append(parcel.bytes)
        self.commands.append(
            Command(
                tag: parcel.tag, end: self.sendBuffer.end, writtenAt: now,
                kind: parcel.isWait ? .wait : .user, slot: parcel.slot,
                redirects: parcel.redirects, retries: parcel.retries))
    }

    /// Writes a command of our own.
    mutating func append(
        _ kind: Command.Kind, now: MonotonicTime, _ write: (inout RedisCommandWriter) -> Void
    ) {
        self.writeUntracked(write)
        self.commands.append(Command(tag: 0, end: self.sendBuffer.end, writtenAt: now, kind: kind))
    }

    /// Writes what no reply of its own comes to.
    mutating func writeUntracked(_ write: (inout RedisCommandWriter) -> Void) {
        _ = self.sendBuffer.write(byteLimit: .max, write)
    }

    /// Writes a command whose reply nobody wants, and tells the server to send none: that spares a write there and a wake-up here.
    ///
    /// False, and it is not written, where too much waits to be sent.
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

    // MARK: Taking out

    @inline(__always)
    mutating func popFirst() -> Command? {
        guard let command = self.commands.popFirst() else { return nil }
        // What was lost may be told when what stood behind it has been withdrawn.
        self.dequeuedEnd = max(self.dequeuedEnd, command.end)
        return command
    }

    /// A command that was taken out is done with: its bytes are not needed any more.
    @inline(__always)
    mutating func free(_ command: Command) {
        if self.isClusterNode { self.sendBuffer.free(to: command.end) }
    }

    /// A command that was not done, and the WAITs behind it.
    mutating func extractForRedirection(_ command: Command, from start: UInt64) -> [QueuedCommand] {
        var parcels = [self.queuedCommand(command, from: start)]
        var end = command.end
        for place in 0..<self.commands.count {
            let next = self.commands[place]
            if next.slot == command.slot {
                guard next.kind == .wait else { break }
                parcels.append(self.queuedCommand(next, from: end))
                self.commands[place].kind = .ignored
            }
            end = next.end
        }
        return parcels
    }

    /// Takes out, in order, the commands that wait for a connection: to be called where there is none.
    mutating func withdrawWaiting() -> [QueuedCommand] {
        var kept = Fifo<Command>()
        var parcels: [QueuedCommand] = []
        for place in 0..<self.commands.count {
            let command = self.commands[place]
            if place < self.lostCount {
                kept.append(command)
            } else if command.isFromUser {
                parcels.append(
                    self.queuedCommand(
                        command, from: place == 0 ? self.dequeuedEnd : self.commands[place - 1].end)
                )
            }
        }
        self.commands = kept
        self.dequeuedEnd = self.sendBuffer.end
        self.sendBuffer.clear()
        return parcels
    }

    private func queuedCommand(_ command: Command, from start: UInt64) -> QueuedCommand {
        QueuedCommand(
            tag: command.tag, slot: command.slot, isWait: command.kind == .wait,
            bytes: Array(self.sendBuffer.bytes(start..<command.end)),
            writtenAt: command.writtenAt, redirects: command.redirects, retries: command.retries)
    }

    // MARK: Failing

    /// The connection is gone: everything that is here fails.
    mutating func failAll() {
        self.lostCount = self.commands.count
        self.lostSentEnd = self.sendBuffer.sent
        self.sendBuffer.clear()
    }

    /// What was written until then has waited too long for a connection.
    mutating func expire(before time: MonotonicTime) {
        self.expiredBefore = time
    }

    /// Everything ends, and nobody is told.
    mutating func removeAll() {
        self.commands = Fifo()
        self.dequeuedEnd = self.sendBuffer.end
        self.lostCount = 0
        self.sendBuffer.clear()
    }

    /// The next command that nobody answers; to be asked while there is no connection.
    mutating func nextFailure() -> (error: RedisError, tag: UInt64)? {
        while self.lostCount > 0, let command = self.popFirst() {
            self.lostCount -= 1
            if command.isFromUser {
                return (.connectionLost(mayBeDone: command.end <= self.lostSentEnd), command.tag)
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

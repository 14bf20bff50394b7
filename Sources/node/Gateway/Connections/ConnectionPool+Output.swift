import Bytes
import ChatCore
import ChatModel
import Configuration
import EventLoop
import HTTPWire
import TLS
import Telemetry

/// Writes frames. They are gathered during a turn and written at its end, with one call for each
/// connection.
extension ConnectionPool {
    /// Queues a frame for one connection. It is written at the end of the turn.
    func send(_ connection: Connection, _ frame: SharedFrame) {
        self.table.queue(self.table.add(frame), to: UInt32(connection.slot))
    }

    /// Sends a frame that the client requested, as fast as the socket accepts it. It does not count
    /// against the limit for slow readers. The turn's earlier frames for the connection are written
    /// first.
    func sendPaced(_ connection: Connection, _ frame: SharedFrame) {
        self.writeTurn(connection.slot)
        // Nothing may follow a close frame, and the write above may have caused one.
        guard connection.isConnected, self.table.hot[connection.slot].flags.contains(.isOpen) else {
            return
        }
        let wasEmpty = connection.backlog.isEmpty
        connection.backlog.append(frame, isPaced: true)
        if wasEmpty { self.writeBacklog(connection) }
        self.backlogChanged(connection)
    }

    /// Keeps the response to an upgrade, and everything after it, until `release`.
    func hold(_ connection: Connection, _ response: SharedFrame) {
        // Responses to earlier requests.
        self.appendTurn(to: connection)
        connection.backlog.append(response, isPaced: true)
        self.table.hot[connection.slot].flags.formUnion([.hasBacklog, .isHeld])
    }

    func isHeld(_ connection: Connection) -> Bool {
        self.table.hot[connection.slot].flags.contains(.isHeld)
    }

    /// Moves the turn's frames to the backlog.
    private func appendTurn(to connection: Connection) {
        guard self.table.hot[connection.slot].frameCount > 0 else { return }
        self.append(self.table.dequeueFrames(of: UInt32(connection.slot)), to: connection)
    }

    /// Sends what `hold` has kept, with the turn's frames in one write.
    func release(_ connection: Connection) {
        guard connection.isConnected, self.isHeld(connection) else { return }
        self.table.hot[connection.slot].flags.remove(.isHeld)
        self.appendTurn(to: connection)
        self.writeBacklog(connection)
        guard connection.isConnected else { return }
        guard connection.backlog.isEmpty else { return self.backlogChanged(connection) }
        // The kernel is not told of a backlog, because a new socket accepts nearly every one.
        self.table.hot[connection.slot].flags.remove(.hasBacklog)
        self.table.hot[connection.slot].pendingBytes = 0
        self.events.append(.drained(connection))
    }

    /// Sends one frame to a WebSocket.
    func sendFrame(
        _ connection: Connection, _ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer,
        compress: Bool = false
    ) {
        self.send(connection, self.frames.encode(opcode, payload, compress: compress))
    }

    /// Sends a text frame, uncompressed.
    func sendText(_ connection: Connection, _ text: StaticString) {
        self.sendFrame(
            connection, .text,
            UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Whether frames of this turn are not written yet.
    var hasUnwrittenFrames: Bool { self.table.isDirty }

    /// Writes the frames that were queued since the last call.
    func writeTurns() {
        var dirty: [UInt32] = []
        swap(&dirty, &self.output.dirty)
        self.table.drainDirty(into: &dirty)
        // For a single connection the ring saves nothing.
        if dirty.count > 1, let ring = self.output.ring {
            self.writeTurns(of: dirty, through: ring)
        } else {
            var index = 0
            while index < dirty.count {
                self.writeTurn(Int(dirty[index]))
                index &+= 1
            }
        }
        swap(&dirty, &self.output.dirty)
    }

    /// Releases the frames of the turn. Backlogs retain the unsent ones themselves.
    func endTurn() {
        self.table.endTurn()
        self.output.joinedRange = 0..<0
    }

    /// Writes the turn's frames for one connection.
    func writeTurn(_ slot: Int) {
        guard self.table.hot[slot].frameCount > 0 else { return }
        if self.table.hasSinglePlainFrame(slot) {
            self.writeFrame(slot)
            return
        }
        guard let connection = self[UInt32(slot)] else { return }
        self.write(self.table.dequeueFrames(of: UInt32(slot)), to: connection)
    }

    /// Writes the turn's frames for one connection, after its backlog.
    func write(_ frames: ConnectionTable.TurnFrames, to connection: Connection) {
        if self.table.hot[connection.slot].flags.contains(.hasBacklog) {
            self.append(frames, to: connection)
        } else {
            self.joinFrames(frames)
            self.writeJoined(to: connection)
        }
        guard connection.isConnected else { return }
        if !connection.backlog.isEmpty { self.backlogChanged(connection) }
        self.continueClose(connection)
    }

    /// Writes the turn's only frame of a connection without a backlog. Inlined, because nearly
    /// every delivery is such a frame.
    @inline(__always)
    private func writeFrame(_ slot: Int) {
        let frame = Int(self.table.hot[slot].firstFrame)
        self.table.hot[slot].frameCount = 0
        let bytes = self.table.bytes(of: frame)
        self.frameSent(
            Socket(descriptor: self.table.hot[slot].descriptor).write(bytes), of: frame, to: slot)
    }

    /// Joins the frames into one piece. A run is joined once for all connections with the same run.
    private func joinFrames(_ frames: ConnectionTable.TurnFrames) {
        if case .run(let range) = frames {
            guard range != self.output.joinedRange else { return }
            self.output.joinedRange = range
        } else {
            self.output.joinedRange = 0..<0
        }
        var frames = frames
        self.output.joinedFrames.removeAll()
        while let number = self.table.next(of: &frames) {
            self.table.frames[number].withBytes { self.output.joinedFrames.append(contentsOf: $0) }
        }
    }

    private func writeJoined(to connection: Connection) {
        let bytes = self.output.joinedFrames.bytes
        let sent = bytes.withUnsafeBytes { self.write($0, to: connection) }
        guard let sent, sent < bytes.count else { return }
        // The whole piece with an offset: OpenSSL requires the same bytes again, and the backlog
        // must know about a partly sent frame.
        connection.backlog.append(SharedFrame(bytes), from: sent)
    }

    private func append(_ frames: ConnectionTable.TurnFrames, to connection: Connection) {
        var frames = frames
        while let number = self.table.next(of: &frames) {
            connection.backlog.append(self.table.frames[number])
        }
    }

    /// - Returns: how many bytes the socket accepted; nil if the connection is closed. Then it has
    ///   been dropped.
    private func write(_ bytes: UnsafeRawBufferPointer, to connection: Connection) -> Int? {
        var sent = 0
        if self.table.hot[connection.slot].flags.contains(.isPolling) {
            return self.writePackets(bytes, to: connection)
        }
        if self.table.hot[connection.slot].flags.contains(.isTLS), let tls = connection.tls {
            while sent < bytes.count {
                switch tls.write(UnsafeRawBufferPointer(rebasing: bytes[sent...])) {
                case .bytes(let count): sent += count
                case .wantRead, .wantWrite:
                    self.context.counters.bytesOut &+= UInt64(sent)
                    return sent
                case .endOfStream, .failed:
                    self.drop(connection)
                    return nil
                }
            }
            self.context.counters.bytesOut &+= UInt64(sent)
            return sent
        }
        return self.handleTransfer(
            Socket(descriptor: self.table.hot[connection.slot].descriptor).write(bytes),
            of: connection.slot)
    }

    /// Writes frames for the next poll.
    ///
    /// - Returns: how many bytes were accepted.
    private func writePackets(_ bytes: UnsafeRawBufferPointer, to connection: Connection) -> Int {
        guard let polling = self.polling else { return 0 }
        let accepted = polling.write(bytes, to: connection)
        if polling.hasWaitingPackets(connection) {
            self.table.hot[connection.slot].flags.insert(.hasUnpolledPackets)
        }
        return accepted
    }

    /// - Returns: how many bytes the socket accepted; nil if the connection is closed. Then it has
    ///   been dropped.
    private func handleTransfer(_ transfer: Socket.SocketResult, of slot: Int) -> Int? {
        switch transfer {
        case .bytes(let count):
            self.context.counters.bytesOut &+= UInt64(count)
            return count
        case .wouldBlock:
            return 0
        case .endOfStream, .failed:
            if let connection = self[UInt32(slot)] { self.drop(connection) }
            return nil
        }
    }

    /// Handles the result of writing a connection's only frame of this turn.
    @inline(__always)
    func frameSent(_ transfer: Socket.SocketResult, of frame: Int, to slot: Int) {
        if case .bytes(let sent) = transfer, sent == self.table.frames[frame].count {
            self.context.counters.bytesOut &+= UInt64(sent)
        } else {
            self.frameNotSent(transfer, of: frame, to: slot)
        }
    }

    @inline(never)
    private func frameNotSent(_ transfer: Socket.SocketResult, of frame: Int, to slot: Int) {
        guard let sent = self.handleTransfer(transfer, of: slot),
            let connection = self[UInt32(slot)]
        else { return }
        connection.backlog.append(self.table.frames[frame], from: sent)
        self.backlogChanged(connection)
    }

    /// Handles the result of writing all of a connection's frames of this turn.
    func joinedFramesSent(
        _ transfer: Socket.SocketResult, ofJoined bytes: UnsafeRawBufferPointer, to slot: Int
    ) {
        guard let sent = self.handleTransfer(transfer, of: slot), sent < bytes.count,
            let connection = self[UInt32(slot)]
        else { return }
        connection.backlog.append(SharedFrame(Array(bytes)), from: sent)
        self.backlogChanged(connection)
    }

    // MARK: Slow readers

    /// Writes the backlog when the socket has room again.
    func drainBacklog(_ connection: Connection) {
        guard !connection.backlog.isEmpty, !self.isHeld(connection) else {
            self.updateInterest(connection)
            return
        }
        let before = connection.backlog.totalBytes
        self.writeBacklog(connection)
        self.backlogChanged(connection)
        guard connection.isConnected else { return }
        if case .http = connection.phase, connection.backlog.totalBytes < before {
            self.setDeadline(
                connection,
                after: connection.closeState == .open
                    ? self.httpIdleLimit(connection) : Self.closeTimeout)
        }
        guard connection.backlog.isEmpty else { return }
        guard connection.closeState == .open else { return self.continueClose(connection) }
        self.events.append(.drained(connection))
    }

    /// Whether the first frame of the backlog must be in the same poll as the packet before it.
    private func hasCompanionNext(_ connection: Connection) -> Bool {
        guard self.table.hot[connection.slot].flags.contains(.isPolling),
            let polling = self.polling, let (frame, offset) = connection.backlog.first
        else { return false }
        return frame.withBytes { polling.staysWithPrevious($0, at: offset) }
    }

    private func writeBacklog(_ connection: Connection) {
        var remaining = 16
        while remaining > 0 || self.hasCompanionNext(connection) {
            remaining -= 1
            guard connection.isConnected, let (frame, offset) = connection.backlog.first
            else { return }
            // OpenSSL and polls need whole frames.
            let writesWholeFrames = !self.table.hot[connection.slot].flags.isDisjoint(with: [
                .isTLS, .isPolling,
            ])
            let offered: Int
            let sent: Int?
            if writesWholeFrames || connection.backlog.frameCount == 1
                || frame.count - offset >= Self.gatherLimit
            {
                // OpenSSL requires the bytes of a rejected record again, and the frames after this
                // one may be dropped in the meantime.
                offered = frame.count - offset
                sent = frame.withBytes {
                    self.write(UnsafeRawBufferPointer(rebasing: $0[offset...]), to: connection)
                }
            } else {
                self.output.gathered.removeAll()
                connection.backlog.gather(upTo: Self.gatherLimit, into: &self.output.gathered)
                let bytes = self.output.gathered.bytes
                offered = bytes.count
                sent = bytes.withUnsafeBytes { self.write($0, to: connection) }
            }
            guard let sent else { return }
            if sent > 0 {
                connection.backlog.remove(sent)
                // A client that receives what it requested is active, although nothing is read from
                // it.
                if connection.isReadingPaused {
                    self.table.hot[connection.slot].lastReceivedTick = self.context.tickNumber
                }
            }
            if sent < offered { return }
        }
    }

    /// Small frames are written together, up to this size.
    private static let gatherLimit = 64 << 10

    /// Watches for writability while there are unsent bytes, and closes a reader that is too slow.
    private func backlogChanged(_ connection: Connection) {
        guard connection.isConnected else { return }
        self.table.hot[connection.slot].pendingBytes = Int32(
            clamping: connection.backlog.countedBytes)
        if connection.backlog.isEmpty {
            self.table.hot[connection.slot].flags.remove(.hasBacklog)
        } else {
            self.table.hot[connection.slot].flags.insert(.hasBacklog)
        }
        // The next request is read after this response has been sent.
        if case .http = connection.phase, connection.closeState == .open,
            !connection.backlog.isEmpty
        {
            self.pauseReading(connection)
        }
        self.updateInterest(connection)
        guard connection.backlog.countedBytes > self.context.live.limits.outboundBytes,
            case .open = connection.closeState
        else { return }
        guard case .webSocket(let webSocket) = connection.phase else {
            self.drop(connection)
            return
        }
        guard !webSocket.hasSentClose else { return }
        self.closeSlowReader(connection, webSocket, "you read too slowly; resume where you were")
    }

    /// Completes the partly sent frame and sends the reason in a close frame. The client resumes
    /// where it was.
    func closeSlowReader(
        _ connection: Connection, _ webSocket: WebSocketState, _ reason: String
    ) {
        self.context.shared.logger.info(
            "slow reader closed",
            [
                "connection": .text(self.context.name(of: connection)),
                "address": .text(connection.address),
                "pending": LogValue(connection.backlog.totalBytes),
            ])
        let close = self.frames.encodeClose(.tryAgainLater, reason: reason)
        _ = self.table.dequeueFrames(of: UInt32(connection.slot))
        connection.backlog.truncate(
            keepsFirst: !self.table.hot[connection.slot].flags.isDisjoint(with: [.isTLS, .isHeld]))
        connection.backlog.append(close)
        self.closeSent(connection, webSocket, .tryAgainLater, reason)
        self.beginClose(connection, .lingerWhenSent)
    }
}

/// The buffers with which a turn's frames are written.
struct TurnOutput {
    /// Writes frames for many connections together. Made at the first tick, on the loop's thread.
    var ring: SendRing?
    var hasTriedRing = false
    /// The writes in the ring since the last submission, and the last piece that was joined from a
    /// run.
    var submissions: [RingSubmission] = []
    var lastPiece: (run: Range<UInt32>, bytes: UnsafeRawBufferPointer)?
    /// The frames of one connection, joined for one write, and the run from which they were joined.
    var joinedFrames = ByteBuffer(capacity: 4096)
    var joinedRange: Range<UInt32> = 0..<0
    /// Unsent frames that are gathered for one write.
    var gathered = ByteBuffer(capacity: 4096)
    var dirty: [UInt32] = []
}

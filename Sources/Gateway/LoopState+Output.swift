import Bytes
import Configuration
import EventLoop
import HTTPWire
import TLS
import Telemetry

/// Writes frames. They are gathered during a turn and written at its end, with one call for each
/// connection.
extension LoopState {
    /// Queues a frame for one connection. It is written at the end of the turn.
    mutating func send(_ slot: Int, _ frame: SharedFrame) {
        self.table.queue(self.table.add(frame), to: UInt32(slot))
    }

    /// Sends a frame that the client requested, as fast as the socket accepts it. It does not count
    /// against the limit for slow readers. The turn's earlier frames for the connection are written
    /// first.
    mutating func sendPaced(_ slot: Int, _ frame: SharedFrame) {
        self.writeTurn(slot)
        // Nothing may follow a close frame, and the write above may have caused one.
        guard self.isOccupied(slot), self.table.hot[slot].flags.contains(.isOpen) else { return }
        let wasEmpty = self.connections[slot]!.backlog.isEmpty
        self.connections[slot]!.backlog.append(frame, isPaced: true)
        if wasEmpty { self.writeBacklog(slot) }
        self.backlogChanged(slot)
    }

    mutating func flush() {
        var dirty: [UInt32] = []
        swap(&dirty, &self.dirty)
        repeat {
            self.answerPolls()
            self.table.drainDirty(into: &dirty)
            // For a single connection the ring saves nothing.
            if dirty.count > 1, let ring = self.sendRing {
                self.writeTurns(of: dirty, through: ring)
            } else {
                var index = 0
                while index < dirty.count {
                    self.writeTurn(Int(dirty[index]))
                    index &+= 1
                }
            }
        } while self.table.isDirty || !self.pollableSessions.isEmpty
        swap(&dirty, &self.dirty)
        self.table.endTurn()
        self.joinedRange = 0..<0
        self.reportDeliveries()
    }

    /// Writes the turn's frames for one connection.
    mutating func writeTurn(_ slot: Int) {
        guard self.table.hot[slot].frameCount > 0 else { return }
        if self.table.hasSinglePlainFrame(slot) {
            self.writeFrame(slot)
            return
        }
        self.write(self.table.dequeueFrames(of: UInt32(slot)), to: slot)
    }

    /// Writes the turn's frames for one connection, after its backlog.
    mutating func write(_ frames: ConnectionTable.TurnFrames, to slot: Int) {
        if self.table.hot[slot].flags.contains(.hasBacklog) {
            self.append(frames, to: slot)
        } else {
            self.joinFrames(frames)
            self.writeJoined(to: slot)
        }
        guard self.isOccupied(slot) else { return }
        if !self.connections[slot]!.backlog.isEmpty { self.backlogChanged(slot) }
        self.continueClose(slot)
    }

    /// Writes the turn's only frame of a connection without a backlog.
    private mutating func writeFrame(_ slot: Int) {
        let frame = Int(self.table.hot[slot].firstFrame)
        self.table.hot[slot].frameCount = 0
        let bytes = self.table.bytes(of: frame)
        self.frameSent(
            Socket(descriptor: self.table.hot[slot].descriptor).write(bytes), of: frame, to: slot)
    }

    /// Joins the frames into one piece. A run is joined once for all connections with the same run.
    private mutating func joinFrames(_ frames: ConnectionTable.TurnFrames) {
        if case .run(let range) = frames {
            guard range != self.joinedRange else { return }
            self.joinedRange = range
        } else {
            self.joinedRange = 0..<0
        }
        var frames = frames
        self.joinedFrames.removeAll()
        while let number = self.table.next(of: &frames) {
            self.table.frames[number].withBytes { self.joinedFrames.append(contentsOf: $0) }
        }
    }

    private mutating func writeJoined(to slot: Int) {
        let bytes = self.joinedFrames.bytes
        let sent = bytes.withUnsafeBytes { self.write($0, to: slot) }
        guard let sent, sent < bytes.count else { return }
        // The whole piece with an offset: OpenSSL requires the same bytes again, and the backlog
        // must know about a partly sent frame.
        self.connections[slot]!.backlog.append(SharedFrame(bytes), from: sent)
    }

    private mutating func append(_ frames: ConnectionTable.TurnFrames, to slot: Int) {
        var frames = frames
        while let number = self.table.next(of: &frames) {
            self.connections[slot]!.backlog.append(self.table.frames[number])
        }
    }

    /// - Returns: how many bytes the socket accepted; nil if the connection is closed. Then it has
    ///   been dropped.
    private mutating func write(_ bytes: UnsafeRawBufferPointer, to slot: Int) -> Int? {
        var sent = 0
        if self.table.hot[slot].flags.contains(.isPolling) {
            return self.writePackets(bytes, to: slot)
        }
        if self.table.hot[slot].flags.contains(.isTLS), let tls = self.connections[slot]!.tls {
            while sent < bytes.count {
                switch tls.write(UnsafeRawBufferPointer(rebasing: bytes[sent...])) {
                case .bytes(let count): sent += count
                case .wantRead, .wantWrite:
                    self.counters.bytesOut &+= UInt64(sent)
                    return sent
                case .endOfStream, .failed:
                    self.drop(slot)
                    return nil
                }
            }
            self.counters.bytesOut &+= UInt64(sent)
            return sent
        }
        return self.handleTransfer(
            Socket(descriptor: self.table.hot[slot].descriptor).write(bytes), of: slot)
    }

    /// - Returns: how many bytes the socket accepted; nil if the connection is closed. Then it has
    ///   been dropped.
    private mutating func handleTransfer(_ transfer: Socket.SocketResult, of slot: Int) -> Int? {
        switch transfer {
        case .bytes(let count):
            self.counters.bytesOut &+= UInt64(count)
            return count
        case .wouldBlock:
            return 0
        case .endOfStream, .failed:
            self.drop(slot)
            return nil
        }
    }

    /// Handles the result of writing a connection's only frame of this turn.
    mutating func frameSent(_ transfer: Socket.SocketResult, of frame: Int, to slot: Int) {
        guard let sent = self.handleTransfer(transfer, of: slot),
            sent < self.table.frames[frame].count
        else { return }
        self.connections[slot]!.backlog.append(self.table.frames[frame], from: sent)
        self.backlogChanged(slot)
    }

    /// Handles the result of writing all of a connection's frames of this turn.
    mutating func joinedFramesSent(
        _ transfer: Socket.SocketResult, ofJoined bytes: UnsafeRawBufferPointer, to slot: Int
    ) {
        guard let sent = self.handleTransfer(transfer, of: slot), sent < bytes.count else { return }
        self.connections[slot]!.backlog.append(SharedFrame(Array(bytes)), from: sent)
        self.backlogChanged(slot)
    }

    // MARK: Slow readers

    /// Writes the backlog when the socket has room again.
    mutating func drainBacklog(_ slot: Int) {
        guard !self.connections[slot]!.backlog.isEmpty else {
            self.updateInterest(slot)
            return
        }
        let before = self.connections[slot]!.backlog.totalBytes
        self.writeBacklog(slot)
        self.backlogChanged(slot)
        guard let connection = self.connections[slot] else { return }
        if case .http = connection.phase, connection.backlog.totalBytes < before {
            self.setDeadline(
                slot,
                after: connection.closeState == .open ? self.live.limits.idle : Self.closeTimeout)
        }
        guard connection.backlog.isEmpty else { return }
        guard connection.closeState == .open else { return self.continueClose(slot) }
        switch connection.phase {
        case .webSocket(let webSocket) where !webSocket.hasSentClose:
            for subscription in webSocket.subscriptions { self.queueReportIfDue(subscription.feed) }
            self.resumeCatchUp(slot, webSocket)
            self.resumeReadingIfUnblocked(slot, webSocket)
        case .http:
            self.resumeReading(slot)
        case .webSocket, .handshake, .listening:
            break
        }
    }

    private mutating func writeBacklog(_ slot: Int) {
        var remaining = 16
        while remaining > 0 || self.hasCompanionNext(slot) {
            remaining -= 1
            guard let connection = self.connections[slot],
                let (frame, offset) = connection.backlog.first
            else { return }
            // Polls too get whole frames only.
            let isTLS = !self.table.hot[slot].flags.isDisjoint(with: [.isTLS, .isPolling])
            let offered: Int
            let sent: Int?
            if isTLS || connection.backlog.frameCount == 1
                || frame.count - offset >= Self.gatherLimit
            {
                // With TLS one frame at a time: OpenSSL requires the bytes of a rejected record
                // again, and the frames after this one may be dropped in the meantime.
                offered = frame.count - offset
                sent = frame.withBytes {
                    self.write(UnsafeRawBufferPointer(rebasing: $0[offset...]), to: slot)
                }
            } else {
                self.gathered.removeAll()
                connection.backlog.gather(upTo: Self.gatherLimit, into: &self.gathered)
                let bytes = self.gathered.bytes
                offered = bytes.count
                sent = bytes.withUnsafeBytes { self.write($0, to: slot) }
            }
            guard let sent else { return }
            if sent > 0 {
                self.connections[slot]!.backlog.remove(sent)
                // A client that receives what it requested is active, although nothing is read from
                // it.
                if self.connections[slot]!.isReadingPaused {
                    self.table.hot[slot].lastReceivedTick = self.tickNumber
                }
            }
            if sent < offered { return }
        }
    }

    /// Small frames are written together, up to this size.
    private static let gatherLimit = 64 << 10

    /// Watches for writability while there are unsent bytes, and closes a reader that is too slow.
    private mutating func backlogChanged(_ slot: Int) {
        guard let connection = self.connections[slot] else { return }
        self.table.hot[slot].pendingBytes = Int32(clamping: connection.backlog.countedBytes)
        if connection.backlog.isEmpty {
            self.table.hot[slot].flags.remove(.hasBacklog)
        } else {
            self.table.hot[slot].flags.insert(.hasBacklog)
        }
        // The next request is read after this response has been sent.
        if case .http = connection.phase, connection.closeState == .open,
            !connection.backlog.isEmpty
        {
            self.pauseReading(slot)
        }
        self.updateInterest(slot)
        guard connection.backlog.countedBytes > self.live.limits.outboundBytes,
            case .open = connection.closeState
        else { return }
        guard case .webSocket(let webSocket) = connection.phase else {
            self.drop(slot)
            return
        }
        guard !webSocket.hasSentClose else { return }
        self.shared.logger.info(
            "slow reader closed",
            [
                "connection": .text(self.name(of: connection)),
                "address": .text(connection.address),
                "pending": LogValue(connection.backlog.countedBytes),
            ])
        self.closeSlowReader(slot, webSocket)
    }

    /// Completes the partly sent frame and sends the reason in a close frame. The client resumes
    /// where it was.
    private mutating func closeSlowReader(_ slot: Int, _ webSocket: WebSocketState) {
        var close = ByteBuffer()
        close.append(
            webSocketClose: .tryAgainLater, reason: "you read too slowly; resume where you were")
        _ = self.table.dequeueFrames(of: UInt32(slot))
        self.connections[slot]!.backlog.truncate(
            firstWasOffered: self.table.hot[slot].flags.contains(.isTLS))
        self.connections[slot]!.backlog.append(SharedFrame(close.bytes))
        self.closeSent(slot, webSocket, .tryAgainLater)
        self.beginClose(slot, .lingerWhenSent)
    }
}

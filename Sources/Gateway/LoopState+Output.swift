import Bytes
import ChatCore
import ChatModel
import Cluster
import Configuration
import DialectKit
import EventLoop
import HTTPWire
import Identity
import JSON
import Synchronization
import TLS
import Telemetry

/// What leaves: gathered during a turn, written at its end, with one call for each connection.
extension LoopState {
    /// A frame for one connection, at the end of the turn.
    mutating func send(_ slot: Int, _ frame: SharedFrame) {
        self.table.queue(self.table.add(frame), to: UInt32(slot))
    }

    /// Something that the client asked for: it leaves as fast as the socket takes it and does not count as a slow
    /// reader's. What the turn has for the connection goes first.
    mutating func sendPaced(_ slot: Int, _ frame: SharedFrame) {
        self.writeTurn(slot)
        guard self.connections[slot] != nil else { return }
        let wasEmpty = self.connections[slot]!.backlog.isEmpty
        self.connections[slot]!.backlog.append(frame, isPaced: true)
        if wasEmpty { self.writeBacklog(slot) }
        self.noteBacklog(slot)
    }

    mutating func flush() {
        var dirty: [UInt32] = []
        swap(&dirty, &self.dirty)
        self.table.takeDirty(into: &dirty)
        for slot in dirty { self.writeTurn(Int(slot)) }
        swap(&dirty, &self.dirty)
        self.table.endTurn()
        self.joinedRange = 0..<0
        self.reportDelivered()
    }

    /// Writes what the turn has for one connection.
    mutating func writeTurn(_ slot: Int) {
        guard self.table.hot[slot].frameCount > 0, self.connections[slot] != nil else { return }
        let frames = self.table.takeFrames(of: UInt32(slot))
        if self.table.hot[slot].flags.contains(.hasBacklog) {
            self.append(frames, to: slot)
        } else {
            switch frames {
            case .run(let range) where range.count == 1:
                let frame = self.table.frames[Int(range.lowerBound)]
                let sent = frame.withBytes { self.write($0, to: slot) }
                if let sent, sent < frame.count { self.connections[slot]!.backlog.append(frame, from: sent) }
            case .run(let range):
                self.join(range)
                self.writeJoined(to: slot)
            case .scattered(let numbers):
                self.joinedRange = 0..<0
                self.joined.removeAll()
                for number in numbers { self.table.frames[Int(number)].withBytes { self.joined.append(contentsOf: $0) } }
                self.writeJoined(to: slot)
            }
        }
        guard self.connections[slot] != nil else { return }
        if !self.connections[slot]!.backlog.isEmpty { self.noteBacklog(slot) }
        self.goOnEnding(slot)
    }

    /// The frames of a run as one piece: made once for all the connections that get the same run.
    private mutating func join(_ range: Range<UInt32>) {
        guard range != self.joinedRange else { return }
        self.joinedRange = range
        self.joined.removeAll()
        for number in range { self.table.frames[Int(number)].withBytes { self.joined.append(contentsOf: $0) } }
    }

    private mutating func writeJoined(to slot: Int) {
        let bytes = self.joined.bytes
        let sent = bytes.withUnsafeBytes { self.write($0, to: slot) }
        guard let sent, sent < bytes.count else { return }
        // What is left stays one piece: OpenSSL wants to see the same bytes again.
        self.connections[slot]!.backlog.append(bytes.withUnsafeBytes { SharedFrame(UnsafeRawBufferPointer(rebasing: $0[sent...])) })
    }

    private mutating func append(_ frames: ConnectionTable.TurnFrames, to slot: Int) {
        switch frames {
        case .run(let range): for number in range { self.connections[slot]!.backlog.append(self.table.frames[Int(number)]) }
        case .scattered(let numbers): for number in numbers { self.connections[slot]!.backlog.append(self.table.frames[Int(number)]) }
        }
    }

    /// - Returns: how many of the bytes the socket has taken; nil when the connection is gone, and has been dropped.
    private mutating func write(_ bytes: UnsafeRawBufferPointer, to slot: Int) -> Int? {
        var sent = 0
        if self.table.hot[slot].flags.contains(.isTLS), let tls = self.connections[slot]!.tls {
            while sent < bytes.count {
                switch tls.write(UnsafeRawBufferPointer(rebasing: bytes[sent...])) {
                case .bytes(let count): sent += count
                case .wantRead, .wantWrite:
                    self.counters.bytesOut &+= UInt64(sent)
                    return sent
                case .closed, .failed:
                    self.drop(slot)
                    return nil
                }
            }
            self.counters.bytesOut &+= UInt64(sent)
            return sent
        }
        switch Socket(descriptor: self.table.hot[slot].descriptor).write(bytes) {
        case .moved(let count): sent = count
        case .wouldBlock: sent = 0
        case .ended, .failed:
            self.drop(slot)
            return nil
        }
        self.counters.bytesOut &+= UInt64(sent)
        return sent
    }

    // MARK: Slow readers

    /// The socket has room again.
    mutating func drainBacklog(_ slot: Int) {
        guard !self.connections[slot]!.backlog.isEmpty else {
            self.updateInterest(slot)
            return
        }
        self.writeBacklog(slot)
        self.noteBacklog(slot)
        guard self.connections[slot] != nil, self.connections[slot]!.backlog.isEmpty else { return }
        self.goOnEnding(slot)
        guard self.connections[slot] != nil, case .webSocket(let talk) = self.connections[slot]!.stage, !talk.hasSentClose else { return }
        for membership in talk.memberships where self.audiences[membership.feed].isReportDue { self.reportable.append(membership.feed) }
        self.continueReplay(slot, talk)
        self.resumeIfFree(slot, talk)
    }

    private mutating func writeBacklog(_ slot: Int) {
        for _ in 0..<16 {
            guard self.connections[slot] != nil, !self.connections[slot]!.backlog.isEmpty else { return }
            let isTLS = self.table.hot[slot].flags.contains(.isTLS)
            // In one piece: gathering is cheaper than a call for each frame, and TLS makes one record of it.
            let (bytes, count) = self.connections[slot]!.backlog.withFrames(atMost: isTLS ? 1 : 64) { parts in
                var bytes = ByteBuffer(capacity: parts.reduce(0) { $0 + $1.count })
                for part in parts { bytes.append(contentsOf: part) }
                return (bytes.bytes, parts.reduce(0) { $0 + $1.count })
            }
            guard let sent = bytes.withUnsafeBytes({ self.write($0, to: slot) }) else { return }
            self.connections[slot]!.backlog.remove(sent)
            if sent < count { return }
        }
    }

    /// Watches for room while there is something unsent, and closes who has let too much gather.
    private mutating func noteBacklog(_ slot: Int) {
        guard let connection = self.connections[slot] else { return }
        self.table.hot[slot].pendingBytes = Int32(clamping: connection.backlog.countedBytes)
        if connection.backlog.isEmpty {
            self.table.hot[slot].flags.remove(.hasBacklog)
        } else {
            self.table.hot[slot].flags.insert(.hasBacklog)
        }
        self.updateInterest(slot)
        guard connection.backlog.countedBytes > self.live.limits.outboundBytes, case .none = connection.ending else { return }
        guard case .webSocket(let talk) = connection.stage else {
            self.drop(slot)
            return
        }
        guard !talk.hasSentClose else { return }
        self.shared.logger.info(
            "slow reader closed", ["connection": .integer(Int64(connection.token.slot)), "pending": .integer(Int64(connection.backlog.countedBytes))])
        self.closeSlowReader(slot, talk)
    }

    /// What has begun must end, then the client is told why; it resumes where it was.
    private mutating func closeSlowReader(_ slot: Int, _ talk: WebSocketTalk) {
        self.leaveAll(talk, slot)
        talk.hasSentClose = true
        self.table.hot[slot].flags.remove(.isOpen)
        self.counters.closes[WebSocketCloseCode.tryAgainLater.rawValue, default: 0] += 1
        var close = ByteBuffer()
        close.append(webSocketClose: .tryAgainLater, reason: "you read too slowly; resume where you were")
        self.connections[slot]!.backlog.truncate()
        self.connections[slot]!.backlog.append(SharedFrame(close.bytes))
        self.finish(slot, .lingerWhenSent)
    }
}

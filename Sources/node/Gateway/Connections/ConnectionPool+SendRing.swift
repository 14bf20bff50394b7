import EventLoop
import Telemetry

/// Writes a turn's frames for many connections with one system call.
extension ConnectionPool {
    /// If the kernel offers no ring, frames are written one by one.
    func makeRingOnce() {
        guard !self.output.hasTriedRing else { return }
        self.output.hasTriedRing = true
        guard self.context.shared.settings.usesSendRing else { return }
        do throws(SocketError) {
            self.output.ring = try SendRing()
        } catch {
            self.context.shared.logger.info(
                "send ring unavailable", ["reason": .text(error.description)])
        }
    }

    /// Writes the turn's frames for these connections. A slot may occur again: then it has no
    /// frames left.
    func writeTurns(of slots: [UInt32], through ring: SendRing) {
        var index = 0
        while index < slots.count, !ring.isBroken {
            let slot = Int(slots[index])
            index &+= 1
            if self.table.hasSinglePlainFrame(slot) {
                let frame = self.table.hot[slot].firstFrame
                self.table.hot[slot].frameCount = 0
                self.addToRing(
                    self.table.bytes(of: Int(frame)), .frame(frame), to: slot, through: ring)
            } else if self.table.hasPlainFrames(slot) {
                self.addJoinedToRing(
                    self.table.dequeueFrames(of: UInt32(slot)), to: slot, through: ring)
            } else {
                self.writeTurn(slot)
            }
        }
        self.submitRing(ring)
        guard ring.isBroken else { return }
        self.output.ring = nil
        for slot in slots[index...] { self.writeTurn(Int(slot)) }
    }

    private func addToRing(
        _ bytes: UnsafeRawBufferPointer, _ content: RingSubmission.Content, to slot: Int,
        through ring: SendRing
    ) {
        ring.add(bytes, to: Socket(descriptor: self.table.hot[slot].descriptor))
        self.output.submissions.append(RingSubmission(slot: UInt32(slot), content: content))
        if ring.isFull { self.submitRing(ring) }
    }

    /// Joins the frames of a connection without a backlog and adds them to the ring. A run is
    /// joined once for all connections with the same run.
    private func addJoinedToRing(
        _ frames: ConnectionTable.TurnFrames, to slot: Int, through ring: SendRing
    ) {
        if case .run(let range) = frames, let last = self.output.lastPiece, last.run == range {
            return self.addToRing(last.bytes, .piece(last.bytes), to: slot, through: ring)
        }
        let byteCount = self.table.byteCount(of: frames)
        if byteCount > ring.freeScratchBytes { self.submitRing(ring) }
        guard !ring.isBroken, let buffer = ring.scratchBuffer(byteCount: byteCount) else {
            if let connection = self[UInt32(slot)] {
                self.write(frames, to: connection)
            }
            return
        }
        self.table.copy(frames, into: buffer)
        let piece = UnsafeRawBufferPointer(buffer)
        self.output.lastPiece = if case .run(let range) = frames { (range, piece) } else { nil }
        self.addToRing(piece, .piece(piece), to: slot, through: ring)
    }

    private func submitRing(_ ring: SendRing) {
        let outcomes = ring.submit()
        self.output.lastPiece = nil
        var index = 0
        while index < outcomes.count {
            let submission = self.output.submissions[index]
            switch submission.content {
            case .frame(let frame):
                self.frameSent(outcomes[index], of: Int(frame), to: Int(submission.slot))
            case .piece(let bytes):
                self.joinedFramesSent(outcomes[index], ofJoined: bytes, to: Int(submission.slot))
            }
            index &+= 1
        }
        self.output.submissions.removeAll(keepingCapacity: true)
    }
}

/// A write that was added to the ring.
struct RingSubmission {
    enum Content {
        /// One of the turn's frames.
        case frame(UInt32)
        /// Several of the turn's frames, joined in the ring's memory.
        case piece(UnsafeRawBufferPointer)
    }

    let slot: UInt32
    let content: Content
}

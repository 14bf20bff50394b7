import EventLoop
import Telemetry

/// Frames of a turn that leave together, with one call of the kernel.
extension LoopState {
    /// To be called once. Where the kernel has no ring for us, everything is written as if none had been wanted.
    mutating func makeSendRing() {
        self.hasTriedSendRing = true
        guard self.shared.settings.usesSendRing else { return }
        do throws(SocketError) {
            self.sendRing = try SendRing()
        } catch {
            self.shared.logger.info("sends go one by one", ["reason": .text(error.description)])
        }
    }

    /// Writes what the turn has for these connections, each of which is among them once.
    mutating func writeTurns(of slots: [UInt32], through ring: SendRing) {
        var place = 0
        while place < slots.count, !ring.isBroken {
            let slot = Int(slots[place])
            place &+= 1
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
        self.sendRing = nil
        for slot in slots[place...] { self.writeTurn(Int(slot)) }
    }

    private mutating func addToRing(
        _ bytes: UnsafeRawBufferPointer, _ content: RingSubmission.Content, to slot: Int,
        through ring: SendRing
    ) {
        ring.add(bytes, to: Socket(descriptor: self.table.hot[slot].descriptor))
        self.ringSubmissions.append(RingSubmission(slot: UInt32(slot), content: content))
        if ring.isFull { self.submitRing(ring) }
    }

    /// Frames of a connection that has nothing unsent, as one piece: a run's is made once for all the connections that get the same run.
    private mutating func addJoinedToRing(
        _ frames: ConnectionTable.TurnFrames, to slot: Int, through ring: SendRing
    ) {
        if case .run(let range) = frames, let last = self.lastPiece, last.run == range {
            return self.addToRing(last.bytes, .piece(last.bytes), to: slot, through: ring)
        }
        let byteCount = self.table.byteCount(of: frames)
        if byteCount > ring.freeScratchBytes { self.submitRing(ring) }
        guard !ring.isBroken, let room = ring.scratchBuffer(byteCount: byteCount) else {
            self.write(frames, to: slot)
            return
        }
        self.table.copy(frames, into: room)
        let piece = UnsafeRawBufferPointer(room)
        self.lastPiece = if case .run(let range) = frames { (range, piece) } else { nil }
        self.addToRing(piece, .piece(piece), to: slot, through: ring)
    }

    private mutating func submitRing(_ ring: SendRing) {
        let outcomes = ring.submit()
        self.lastPiece = nil
        var place = 0
        while place < outcomes.count {
            let offer = self.ringSubmissions[place]
            switch offer.content {
            case .frame(let frame):
                self.frameSent(outcomes[place], of: Int(frame), to: Int(offer.slot))
            case .piece(let bytes):
                self.joinedFramesSent(outcomes[place], ofJoined: bytes, to: Int(offer.slot))
            }
            place &+= 1
        }
        self.ringSubmissions.removeAll(keepingCapacity: true)
    }
}

/// What was added to the ring for a connection.
struct RingSubmission {
    enum Content {
        /// One of the turn's frames.
        case frame(UInt32)
        /// Several of them, put together in the ring's own memory.
        case piece(UnsafeRawBufferPointer)
    }

    let slot: UInt32
    let content: Content
}

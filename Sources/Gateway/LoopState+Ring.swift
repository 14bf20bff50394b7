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
        while place < slots.count {
            let slot = Int(slots[place])
            place &+= 1
            guard self.table.isSimple(slot) else {
                self.writeTurn(slot)
                continue
            }
            let frame = self.table.hot[slot].firstFrame
            self.table.hot[slot].frameCount = 0
            ring.add(self.table.bytes(of: Int(frame)), to: Socket(descriptor: self.table.hot[slot].descriptor))
            self.offered.append((UInt32(slot), frame))
            if ring.isFull { self.submit(ring) }
        }
        self.submit(ring)
        if ring.isBroken { self.sendRing = nil }
    }

    private mutating func submit(_ ring: SendRing) {
        let outcomes = ring.submit()
        var place = 0
        while place < outcomes.count {
            let (slot, frame) = (Int(self.offered[place].slot), Int(self.offered[place].frame))
            self.sent(outcomes[place], of: frame, to: slot)
            place &+= 1
        }
        self.offered.removeAll(keepingCapacity: true)
    }
}

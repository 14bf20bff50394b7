internal import Bytes

/// The heartbeat (Engine.IO protocol v4, "Heartbeat"), and everything else that waits for so long and no longer.
extension EngineSession {
    private static let pingPacket = SharedFrame([EnginePacketKind.ping.typeByte])

    /// When `tick` is to be called next; nil when the session is over. May move nearer with every input.
    public var deadline: Int64? {
        switch self.state {
        case .closed: return nil
        case .closing(_, let until): return until
        case .webSocket: return self.heartbeatDeadline
        case .polling(let polling):
            var deadline = self.heartbeatDeadline
            if let probe = polling.probe {
                deadline = min(deadline, probe.deadline)
                if polling.poll != nil, let noopDue = probe.noopDue {
                    deadline = min(deadline, noopDue)
                }
            }
            return deadline
        }
    }

    private var heartbeatDeadline: Int64 {
        switch self.heartbeat {
        case .pingDue(let due), .pongDue(let due): due
        }
    }

    /// Does what is due. Called early it does nothing.
    public mutating func tick(at now: Int64, into steps: inout EngineSteps) {
        switch self.state {
        case .closed:
            return
        case .closing(let why, let until):
            if until <= now { self.finish(why, into: &steps) }
            return
        case .polling(let polling):
            if let probe = polling.probe, probe.deadline <= now {
                self.abandonProbe(code: 1008, "the upgrade took too long", into: &steps)
            }
        case .webSocket:
            break
        }
        switch self.heartbeat {
        case .pingDue(let due) where due <= now:
            // From when it is sent, not from when it was due: a pong needs its time, however late the ping is.
            self.heartbeat = .pongDue(now + self.settings.pingTimeout)
            self.send(Self.pingPacket, into: &steps)
        case .pongDue(let due) where due <= now:
            self.end(.pingTimeout, into: &steps)
        case .pingDue, .pongDue:
            break
        }
        self.flush(into: &steps)
        self.releasePoll(at: now, into: &steps)
    }
}

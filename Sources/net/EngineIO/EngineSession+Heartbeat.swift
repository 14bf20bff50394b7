internal import Bytes

/// The heartbeat (Engine.IO protocol v4, "Heartbeat") and all other timeouts.
extension EngineSession {
    private static let pingPacket = SharedPacket(
        SharedFrame([EnginePacketKind.ping.typeByte]))

    /// When `tick` must be called next; nil after the session has ended. Every input may move it
    /// forward.
    public var deadline: Int64? {
        switch self.state {
        case .closed: return nil
        case .closing(_, let until): return until
        case .webSocket: return self.heartbeatDeadline
        case .polling(let polling):
            var deadline = min(self.heartbeatDeadline, polling.awaitedReport?.until ?? .max)
            if let probe = polling.probe {
                deadline = min(deadline, probe.deadline)
                if polling.poll != nil, polling.awaitedReport == nil, let noopDue = probe.noopDue {
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

    /// Handles everything that is due. An early call does nothing.
    public mutating func tick(at now: Int64, into steps: inout EngineSteps) {
        switch self.state {
        case .closed:
            return
        case .closing(let closure, let until):
            if until <= now { self.finish(closure, into: &steps) }
            return
        case .polling(var polling):
            if let report = polling.awaitedReport, report.until <= now {
                self.packetQueue.returnUnproven()
                polling.awaitedReport = nil
                self.state = .polling(polling)
            }
            if let probe = polling.probe, probe.deadline <= now {
                self.abandonProbe(code: 1008, "the upgrade took too long", into: &steps)
            }
        case .webSocket:
            break
        }
        switch self.heartbeat {
        case .pingDue(let due) where due <= now:
            // The pong timeout starts when the ping is sent, not when it was due: a late ping must
            // not shorten the client's time to answer.
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

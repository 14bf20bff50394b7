/// The state of a connection, transferred to the session that continues it on another node.
///
/// Timeouts are stored as remaining milliseconds, because the nodes' clocks differ.
public struct SocketSnapshot: Sendable, Hashable {
    /// The connection state and the remaining time of its timeout.
    public enum Phase: Sendable, Hashable {
        /// No CONNECT has arrived.
        case awaitingConnect(remaining: Int64)
        /// A CONNECT is being checked.
        case connecting(remaining: Int64)
        /// The client is connected. No timeout is running.
        case connected
        /// DISCONNECT was sent, and the client may not have received it yet.
        case disconnectSent(remaining: Int64)
    }

    public let phase: Phase
    /// The number of expected binary frames that belong to a rejected packet.
    public let attachmentsDue: Int

    public init(_ phase: Phase, attachmentsDue: Int = 0) {
        self.phase = phase
        self.attachmentsDue = attachmentsDue
    }
}

extension SocketSession {
    /// Creates a session that continues from a snapshot.
    public init(
        limits: SocketLimits = SocketLimits(), snapshot: SocketSnapshot, at now: Int64
    ) {
        self.limits = limits
        self.attachmentsDue = snapshot.attachmentsDue
        switch snapshot.phase {
        case .awaitingConnect(let remaining): self.state = .awaitingConnect(until: now + remaining)
        case .connecting(let remaining): self.state = .connecting(until: now + remaining)
        case .connected: self.state = .connected
        case .disconnectSent(let remaining): self.state = .disconnectSent(until: now + remaining)
        }
    }

    /// The state of the session; nil after it has ended.
    public func snapshot(at now: Int64) -> SocketSnapshot? {
        let phase: SocketSnapshot.Phase
        switch self.state {
        case .awaitingConnect(let until): phase = .awaitingConnect(remaining: until - now)
        case .connecting(let until): phase = .connecting(remaining: until - now)
        case .connected: phase = .connected
        case .disconnectSent(let until): phase = .disconnectSent(remaining: until - now)
        case .ended: return nil
        }
        return SocketSnapshot(phase, attachmentsDue: self.attachmentsDue)
    }
}

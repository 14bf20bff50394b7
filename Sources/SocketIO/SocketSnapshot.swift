/// How far a connection has come: what its session on one node tells the session that goes on for it on another.
///
/// What is left of a time is in milliseconds, since no two nodes' clocks agree.
public struct SocketSnapshot: Sendable, Hashable {
    /// Whether the client is in, and what is left of its time if it is not.
    public enum Phase: Sendable, Hashable {
        /// No CONNECT has come.
        case awaitingConnect(remaining: Int64)
        /// A CONNECT is being judged.
        case connecting(remaining: Int64)
        /// The client is in, for as long as it likes.
        case connected
        /// DISCONNECT was sent, and the client may not know it yet.
        case disconnectSent(remaining: Int64)
    }

    /// Whether the client is in.
    public let phase: Phase
    /// How many binary frames are still to come of a packet that was refused.
    public let attachmentsDue: Int

    /// As it was told by another node.
    public init(_ phase: Phase, attachmentsDue: Int = 0) {
        self.phase = phase
        self.attachmentsDue = attachmentsDue
    }
}

extension SocketSession {
    /// A session that goes on where another one stood.
    public init(
        limits: SocketLimits = SocketLimits(), snapshot standing: SocketSnapshot, at now: Int64
    ) {
        self.limits = limits
        self.attachmentsDue = standing.attachmentsDue
        switch standing.phase {
        case .awaitingConnect(let left): self.state = .awaitingConnect(until: now + left)
        case .connecting(let left): self.state = .connecting(until: now + left)
        case .connected: self.state = .connected
        case .disconnectSent(let left): self.state = .disconnectSent(until: now + left)
        }
    }

    /// Where the session stands; nil when it has ended.
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

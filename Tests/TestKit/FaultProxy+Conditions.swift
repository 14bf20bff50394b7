extension FaultProxy {
    /// The direction of the bytes that a fault affects.
    public enum TrafficDirection: String, Sendable, CaseIterable {
        case toServer = "to the server"
        case toClient = "to the client"
        case both = "both ways"
    }

    public enum Condition: Sendable, Equatable {
        case normal
        /// Connections are reset, including new ones.
        case reset
        /// Bytes are dropped and no end of a connection is passed on, also on new connections. A
        /// connection that has lost bytes never recovers, even after the fault, as with a firewall
        /// that has lost its state.
        case halfOpen(TrafficDirection)
        /// Bytes are delayed until the fault ends. TCP shows lost and retransmitted packets in the
        /// same way.
        case stalled(TrafficDirection)
        case slow(TrafficDirection, Duration)
    }

    /// The connections that a fault affects.
    public enum Scope: Sendable, Equatable {
        case all
        /// Only connections of Redis' Pub/Sub: those on which a client has subscribed to a channel.
        case subscriptions
    }
}

extension FaultProxy.Condition {
    func drops(_ direction: FaultProxy.TrafficDirection) -> Bool {
        if case .halfOpen(let affected) = self { affected.includes(direction) } else { false }
    }

    func stalls(_ direction: FaultProxy.TrafficDirection) -> Bool {
        if case .stalled(let affected) = self { affected.includes(direction) } else { false }
    }

    func delay(_ direction: FaultProxy.TrafficDirection) -> Duration {
        guard case .slow(let affected, let time) = self, affected.includes(direction) else {
            return .zero
        }
        return time
    }
}

extension FaultProxy.TrafficDirection {
    func includes(_ direction: Self) -> Bool { self == .both || self == direction }
}

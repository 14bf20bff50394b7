import Cluster

/// What Redis stores of the cluster: the views, and the nodes' heartbeats by its own clock.
///
/// Every node holds its name, because no two nodes of a simulation have the same one.
struct SimulatedRegistry {
    private(set) var number: Int
    /// The newest views, oldest first; empty if all nodes have left.
    private var views: [View]
    private var heartbeats: [UInt64: Int64] = [:]

    private static let retainedViews = 64

    init(_ view: View) {
        self.number = view.number
        self.views = [view]
    }

    var view: View? { self.views.last }

    /// Stores a heartbeat.
    ///
    /// - Parameter known: the newest view that the node has read.
    mutating func heartbeat(of incarnation: UInt64, knowing known: View?, at now: Int64)
        -> ClusterMembership.HeartbeatReply
    {
        self.heartbeats[incarnation] = now
        var unknown = self.views.filter { $0.number > known?.number ?? 0 }
        if known == nil || unknown.isEmpty && known != self.view { unknown = self.views.suffix(1) }
        return ClusterMembership.HeartbeatReply(
            time: now, number: self.number, views: unknown, heartbeats: self.heartbeats)
    }

    /// Stores a proposed view, unless another one replaced its predecessor.
    mutating func store(_ proposal: ClusterMembership.Proposal, at now: Int64) -> Bool {
        guard proposal.replacing == self.number else { return false }
        if let age = proposal.age, let heartbeat = self.heartbeats[proposal.incarnation],
            now - heartbeat < age
        {
            return false
        }
        self.number = proposal.number
        self.views = proposal.view.map { self.views.suffix(Self.retainedViews) + [$0] } ?? []
        return true
    }
}

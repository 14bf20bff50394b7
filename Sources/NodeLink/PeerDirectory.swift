import Cluster
import ClusterWire

/// The nodes that a node knows: those in the view, and for a while those that were evicted.
///
/// A node that leaves keeps its record in Redis until the record expires. An evicted node loses its
/// record together with its place in the view. So a stopped node disappears from the list, and a
/// crashed one is shown as missing. Until the record has been read, the heartbeats decide: a node
/// that was silent stays in the list.
struct PeerDirectory {
    private struct KnownPeer {
        var record: NodeRecord?
        var isFetching = false
        /// It is in no view any more; whether it left or was evicted is still unknown.
        var isMissing = false
        /// When it sent its last heartbeat, if that was overdue while the node was in the view.
        var silentSince: Int64?
        var evictedAt: Int64?
    }

    static let evictedRetention: Int64 = 60_000

    private var knownPeers: [UInt64: KnownPeer] = [:]

    /// - Parameter suspects: the ages of overdue heartbeats, in milliseconds.
    /// - Returns: the nodes whose records must be read; `recordFetched` follows for each.
    mutating func follow(
        _ view: View?, suspects: [UInt64: Int64], at now: Int64
    ) -> [UInt64] {
        let present = Set(view?.nodes.map(\.incarnation) ?? [])
        for node in present where self.knownPeers[node] == nil || self.knownPeers[node]!.isMissing {
            self.knownPeers[node] = KnownPeer()
        }
        for node in present {
            self.knownPeers[node]!.silentSince = suspects[node].map { now - $0 }
        }
        for node in self.knownPeers.keys where !present.contains(node) {
            if let diedAt = self.knownPeers[node]!.evictedAt {
                if now - diedAt > Self.evictedRetention { self.knownPeers[node] = nil }
            } else {
                self.knownPeers[node]!.isMissing = true
            }
        }
        var missing: [UInt64] = []
        for (node, peer) in self.knownPeers
        where !peer.isFetching && peer.evictedAt == nil && (peer.record == nil || peer.isMissing) {
            self.knownPeers[node]!.isFetching = true
            missing.append(node)
        }
        return missing
    }

    /// Handles a node's record from Redis; nil if there is none.
    mutating func recordFetched(_ record: NodeRecord?, of node: UInt64, at now: Int64) {
        guard var peer = self.knownPeers[node] else { return }
        peer.isFetching = false
        if peer.isMissing {
            guard record == nil, peer.record != nil else { return self.knownPeers[node] = nil }
            peer.evictedAt = now
        } else if let record {
            peer.record = record
        }
        self.knownPeers[node] = peer
    }

    /// The record could not be read.
    mutating func fetchFailed(of node: UInt64) {
        self.knownPeers[node]?.isFetching = false
    }

    /// The node's name for operators; nil if unknown.
    func name(of node: UInt64) -> String? { self.knownPeers[node]?.record?.name }

    /// All nodes, sorted by name. A missing node whose name a newer node uses is left out.
    func peers(in view: View?, suspects: [UInt64: Int64], at now: Int64) -> [NodeLink.PeerNode] {
        var peers: [NodeLink.PeerNode] = []
        for node in view?.nodes ?? [] {
            peers.append(
                NodeLink.PeerNode(
                    incarnation: node.incarnation,
                    record: self.knownPeers[node.incarnation]?.record, isDraining: node.isDraining,
                    silentFor: suspects[node.incarnation], evictedFor: nil))
        }
        let names = Set(peers.map(\.name))
        for (node, peer) in self.knownPeers {
            guard peer.isMissing, let record = peer.record, !names.contains(record.name),
                peer.evictedAt != nil || peer.silentSince != nil
            else { continue }
            peers.append(
                NodeLink.PeerNode(
                    incarnation: node, record: record, isDraining: false,
                    silentFor: peer.evictedAt == nil ? peer.silentSince.map { now - $0 } : nil,
                    evictedFor: peer.evictedAt.map { now - $0 }))
        }
        return peers.sorted { ($0.name, $0.incarnation) < ($1.name, $1.incarnation) }
    }
}

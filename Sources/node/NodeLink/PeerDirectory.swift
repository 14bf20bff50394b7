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
        var presence: Presence

        /// A missing node's record tells whether the node left or was evicted.
        var needsRecord: Bool {
            if case .missing = self.presence { true } else { self.record == nil }
        }
    }

    private enum Presence {
        /// `silentSince`: when the node sent its last heartbeat, if that is overdue.
        case inView(silentSince: Int64?)
        /// It is in no view any more; whether it left or was evicted is still unknown.
        case missing(silentSince: Int64?)
        case evicted(at: Int64)
    }

    static let evictedRetention: Int64 = 60_000

    private var knownPeers: [UInt64: KnownPeer] = [:]

    /// - Parameter suspects: the ages of overdue heartbeats, in milliseconds.
    /// - Returns: the nodes whose records must be read; `recordFetched` follows for each.
    mutating func follow(_ view: View?, suspects: [UInt64: Int64], at now: Int64) -> [UInt64] {
        let present = Set(view?.nodes.map(\.incarnation) ?? [])
        for node in present {
            let presence = Presence.inView(silentSince: suspects[node].map { now - $0 })
            if case .inView? = self.knownPeers[node]?.presence {
                self.knownPeers[node]!.presence = presence
            } else {
                self.knownPeers[node] = KnownPeer(presence: presence)
            }
        }
        for (node, peer) in self.knownPeers where !present.contains(node) {
            switch peer.presence {
            case .inView(let silentSince):
                self.knownPeers[node]!.presence = .missing(silentSince: silentSince)
            case .missing: break
            case .evicted(let time):
                if now - time > Self.evictedRetention { self.knownPeers[node] = nil }
            }
        }
        var missing: [UInt64] = []
        for (node, peer) in self.knownPeers where !peer.isFetching && peer.needsRecord {
            self.knownPeers[node]!.isFetching = true
            missing.append(node)
        }
        return missing
    }

    /// Handles a node's record from Redis; nil if there is none.
    mutating func recordFetched(_ record: NodeRecord?, of node: UInt64, at now: Int64) {
        guard var peer = self.knownPeers[node] else { return }
        peer.isFetching = false
        if case .missing = peer.presence {
            guard record == nil, peer.record != nil else { return self.knownPeers[node] = nil }
            peer.presence = .evicted(at: now)
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
            guard let record = peer.record, !names.contains(record.name) else { continue }
            let silentFor: Int64?
            let evictedFor: Int64?
            switch peer.presence {
            case .inView, .missing(silentSince: nil): continue
            case .missing(let silentSince?): (silentFor, evictedFor) = (now - silentSince, nil)
            case .evicted(let time): (silentFor, evictedFor) = (nil, now - time)
            }
            peers.append(
                NodeLink.PeerNode(
                    incarnation: node, record: record, isDraining: false, silentFor: silentFor,
                    evictedFor: evictedFor))
        }
        return peers.sorted { ($0.name, $0.incarnation) < ($1.name, $1.incarnation) }
    }
}

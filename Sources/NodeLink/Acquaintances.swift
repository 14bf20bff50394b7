import Cluster
import ClusterWire

/// Whom a node knows: those who are in the view, and for a while those who have died.
///
/// Who leaves keeps its record in Redis until that expires; who is taken for dead loses it with the view that leaves it out. So a node that
/// was stopped is no longer there, and one that was killed is missed.
struct Acquaintances {
    private struct Known {
        var record: NodeRecord?
        var isAsked = false
        /// It is in no view any more; whether it has left or died is still to be found out.
        var isMissing = false
        var diedAt: Int64?
    }

    static let memory: Int64 = 60_000

    private var known: [UInt64: Known] = [:]

    /// - Returns: whose records are to be read; `told` is to follow for each.
    mutating func follow(_ view: View?, at now: Int64) -> [UInt64] {
        let present = Set(view?.nodes.map(\.incarnation) ?? [])
        for node in present where self.known[node] == nil || self.known[node]!.isMissing { self.known[node] = Known() }
        for node in self.known.keys where !present.contains(node) {
            if let diedAt = self.known[node]!.diedAt {
                if now - diedAt > Self.memory { self.known[node] = nil }
            } else {
                self.known[node]!.isMissing = true
            }
        }
        var wanted: [UInt64] = []
        for (node, one) in self.known where !one.isAsked && one.diedAt == nil && (one.record == nil || one.isMissing) {
            self.known[node]!.isAsked = true
            wanted.append(node)
        }
        return wanted
    }

    /// What Redis has of a node; nil: nothing.
    mutating func told(_ record: NodeRecord?, of node: UInt64, at now: Int64) {
        guard var one = self.known[node] else { return }
        one.isAsked = false
        if one.isMissing {
            guard record == nil, one.record != nil else { return self.known[node] = nil }
            one.diedAt = now
        } else if let record {
            one.record = record
        }
        self.known[node] = one
    }

    /// It could not be asked.
    mutating func untold(of node: UInt64) {
        self.known[node]?.isAsked = false
    }

    /// What its operators call a node; nil where that is not known.
    func name(of node: UInt64) -> String? { self.known[node]?.record?.name }

    /// Everybody, by name. Of whom a younger node has the name of nobody needs to hear.
    func peers(in view: View?, suspects: [UInt64: Int64], at now: Int64) -> [NodeLink.Peer] {
        var peers: [NodeLink.Peer] = []
        for node in view?.nodes ?? [] {
            peers.append(
                NodeLink.Peer(
                    incarnation: node.incarnation, record: self.known[node.incarnation]?.record, isDraining: node.isDraining,
                    silentFor: suspects[node.incarnation], goneFor: nil))
        }
        let names = Set(peers.map(\.name))
        for (node, one) in self.known {
            guard let diedAt = one.diedAt, let record = one.record, !names.contains(record.name) else { continue }
            peers.append(NodeLink.Peer(incarnation: node, record: record, isDraining: false, silentFor: nil, goneFor: now - diedAt))
        }
        return peers.sorted { ($0.name, $0.incarnation) < ($1.name, $1.incarnation) }
    }
}

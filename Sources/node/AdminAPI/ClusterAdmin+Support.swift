internal import ClusterWire
internal import HTTPWire
internal import JSON
internal import NodeLink

/// The files of nodes for `confab support`.
extension ClusterAdmin {
    func supportFiles() async throws(HTTPError) -> JSONTree {
        let snapshot = try await self.clusterSnapshot()
        let peers = snapshot.peers.filter { $0.evictedFor == nil }
        let replies = await self.query(.supportFiles, of: peers, in: snapshot)
        let rows = peers.map { peer -> JSONTree in
            [
                "node": .string(peer.name), "incarnation": .string(String(peer.incarnation)),
                "version": peer.record.map { .string($0.version) } ?? .null,
                "files": replies.byNode[peer.incarnation] ?? .null,
            ]
        }
        return Self.document([.init("nodes", .array(rows))] + replies.counts)
    }

    func localSupportFiles() async -> JSONTree? {
        guard let inspection = self.inspection else { return nil }
        return .array(
            await inspection.supportFiles().map {
                ["name": .string($0.name), "text": .string($0.text)]
            })
    }
}

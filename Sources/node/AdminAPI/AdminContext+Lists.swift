internal import ClusterWire
internal import Configuration
internal import Gateway
internal import JSON
internal import NodeLink

/// Lists to which every node contributes rows: connections and conversations.
///
/// Each node selects its first rows in the order asked for, so that the answer stays small however
/// many there are. The node that was asked merges them.
extension AdminContext {
    /// The size of the rows in one reply of a node. A reply may have 1 MiB, and its document
    /// 65,536 values.
    static let replyRowBytes = 512 << 10
    static let replyRowLimits = 1...2000
    /// A loop that has not listed everything after this time is reported as silent.
    static let listTimeout = Duration.milliseconds(1400)

    // MARK: On each node

    /// The rows of this node's loops, which are read at the same time.
    ///
    /// - Parameter read: offers the rows of one loop, until the deadline. Returns whether it has
    ///   read all of them, and how many it has counted apart from the rows.
    func localList(
        _ request: ListRequest, of gateway: Gateway,
        _ read:
            @escaping @Sendable (
                _ loop: Int, _ rows: inout RankedRows, _ deadline: ContinuousClock.Instant
            ) async -> (isComplete: Bool, uncounted: Int)
    ) async -> JSONTree {
        let deadline = ContinuousClock.now + Self.listTimeout
        var ranked = request.ranked()
        var (unresponsiveLoops, others) = (0, 0)
        await withTaskGroup(of: (RankedRows, Bool, Int).self) { group in
            for loop in 0..<gateway.loopCount {
                group.addTask {
                    var rows = request.ranked()
                    let result = await read(loop, &rows, deadline)
                    return (rows, result.isComplete, result.uncounted)
                }
            }
            for await (rows, isComplete, uncounted) in group {
                ranked.merge(rows)
                if !isComplete { unresponsiveLoops += 1 }
                others += uncounted
            }
        }
        let page = ranked.page(byteLimit: Self.replyRowBytes)
        let rows = page.rows.prefix(request.pageLimit)
        return [
            "rows": .array(Array(rows)), "count": .integer(ranked.offeredCount),
            "has_more": .bool(page.hasMore || rows.count < page.rows.count),
            "unresponsive_loops": .integer(unresponsiveLoops), "others": .integer(others),
        ]
    }

    // MARK: On the node that was asked

    /// Asks the nodes for their first rows, and merges them.
    ///
    /// - Parameter position: the place of a row in the order.
    func mergedList(
        _ topic: NodeTopic, _ request: ListRequest, of peers: [NodeLink.PeerNode],
        in snapshot: ClusterSnapshot,
        position: @escaping @Sendable (JSONTree) -> RowPosition
    ) async -> MergedList {
        var merged = MergedList(replies: NodeReplies(queriedCount: peers.count))
        var ranked = request.ranked()
        await withTaskGroup(of: (UInt64, [JSONTree], JSONTree?).self) { group in
            for peer in peers {
                group.addTask {
                    let (rows, reply) = await self.rows(
                        topic, request, of: peer, in: snapshot, position: position)
                    return (peer.incarnation, rows, reply)
                }
            }
            for await (node, rows, reply) in group {
                for row in rows { ranked.offer(position(row), row) }
                merged.replies.byNode[node] = reply
                merged.count += reply?["count"]?.integerValue ?? 0
                merged.unresponsiveLoops += reply?["unresponsive_loops"]?.integerValue ?? 0
                merged.others += reply?["others"]?.integerValue ?? 0
            }
        }
        merged.rows = ranked.page().rows
        return merged
    }

    /// One node's rows, page by page, and its last reply. The reply is nil if a page is missing:
    /// the node has died meanwhile, and its rows are not complete.
    private func rows(
        _ topic: NodeTopic, _ request: ListRequest, of peer: NodeLink.PeerNode,
        in snapshot: ClusterSnapshot, position: (JSONTree) -> RowPosition
    ) async -> (rows: [JSONTree], lastReply: JSONTree?) {
        var rows: [JSONTree] = []
        var request = request
        while true {
            let replies = await self.query(
                topic, request.arguments, of: [peer], in: snapshot)
            guard let reply = replies.byNode[peer.incarnation], let page = reply["rows"]?.elements
            else { return (rows, nil) }
            rows += page
            guard reply["has_more"]?.boolValue == true, rows.count < request.limit,
                let last = page.last
            else { return (rows, reply) }
            request.start = position(last)
        }
    }
}

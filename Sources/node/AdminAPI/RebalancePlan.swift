/// Decides how many clients overloaded nodes close, so that the load balancer spreads them.
///
/// Shards need no decision: they follow the view, and its first live node moves them. Clients stay
/// where the load balancer put them, so a node that returned after a restart has few of them.
struct RebalancePlan: Equatable {
    struct Load: Equatable {
        let node: String
        let connections: Int
        /// How many clients it closes; 0 within the tolerance.
        let surplus: Int
    }

    /// A load balancer does not distribute evenly, so a smaller difference stays.
    static let tolerancePercent = 10

    let loads: [Load]

    /// - Parameter connections: the clients of every node that accepts clients.
    init(_ connections: [(node: String, count: Int)]) {
        let total = connections.map(\.count).reduce(0, +)
        let mean = connections.isEmpty ? 0 : (total + connections.count - 1) / connections.count
        self.loads = connections.map { node, count in
            let excess = count - mean
            let isOverloaded = excess > 0 && excess * 100 > mean * Self.tolerancePercent
            return Load(node: node, connections: count, surplus: isOverloaded ? excess : 0)
        }
    }

    var surplus: Int { self.loads.map(\.surplus).reduce(0, +) }

    /// One sentence about the clients that the plan moves.
    ///
    /// - Parameter verb: whether they move, or would move.
    func summary(verb: String) -> String {
        guard self.surplus > 0 else {
            return
                "no node has \(Self.tolerancePercent) % more clients than the mean: nothing to move"
        }
        let parts = self.loads.filter { $0.surplus > 0 }.map {
            "\($0.surplus) of \($0.connections) clients of \($0.node)"
        }
        return "\(verb) \(parts.joined(separator: ", ")) with 1012"
    }
}

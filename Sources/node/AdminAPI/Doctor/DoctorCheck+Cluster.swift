internal import Configuration
internal import JSON

/// The checks that compare nodes, or a node with Redis' clock.
extension DoctorCheck {
    static let clusterChecks: [DoctorCheck] = [
        DoctorCheck(name: "health") { node, _ in
            switch node["health", "status"]?.stringValue {
            case "healthy": return .ok("The node is healthy.")
            case "draining":
                return .warning(
                    "The node is drained and accepts no clients.",
                    "Run `confab resume \(node.name)` when the maintenance is over.")
            case let status?:
                let reason = node["health", "reason"]?.stringValue ?? status
                return .failed(
                    "The node is \(status): \(reason).",
                    "Remove the cause; the node becomes healthy without a restart.")
            case nil: return nil
            }
        },
        DoctorCheck(name: "node-name") { node, nodes in
            let count = nodes.filter { $0.name == node.name }.count
            guard count > 1 else { return .ok("No other node has this name.") }
            return .failed(
                "\(count) nodes have the name \(node.name).",
                "Give each node a --node-id of its own, and restart all but one.")
        },
        DoctorCheck(name: "version") { node, nodes in
            guard let version = node["version"]?.stringValue else { return nil }
            let others = Set(nodes.compactMap { $0["version"]?.stringValue }).subtracting([version])
            guard !others.isEmpty else { return .ok("All nodes that answer run \(version).") }
            return .warning(
                """
                The node runs \(version); other nodes run \
                \(others.sorted().joined(separator: ", ")).
                """,
                "Complete the upgrade. Two versions in one cluster are only for its duration.")
        },
        DoctorCheck(name: "clock-redis") { node, _ in
            guard let offset = node["redis", "clock_offset"]?.integerValue else { return nil }
            let error = node["redis", "clock_error"]?.integerValue ?? 0
            return Self.clockFinding(
                certain: max(0, abs(offset) - error), "Redis", offset: offset)
        },
        DoctorCheck(name: "clock-nodes") { node, nodes in
            // All nodes are compared with the clock of the same Redis server.
            let others = nodes.filter { $0.incarnation != node.incarnation }
            guard let own = node["redis", "clock_offset"]?.integerValue else { return nil }
            let ownError = node["redis", "clock_error"]?.integerValue ?? 0
            let differences = others.compactMap { other -> (certain: Int, Int, String)? in
                guard let offset = other["redis", "clock_offset"]?.integerValue else { return nil }
                let error = ownError + (other["redis", "clock_error"]?.integerValue ?? 0)
                return (max(0, abs(own - offset) - error), own - offset, other.name)
            }
            guard let worst = differences.max(by: { $0.certain < $1.certain }) else { return nil }
            return Self.clockFinding(certain: worst.certain, worst.2, offset: worst.1)
        },
    ]

    /// The limits are those of tokens and of message times: a second is visible in a chat, and ten
    /// seconds let a token expire too early or too late.
    private static func clockFinding(certain: Int, _ other: String, offset: Int) -> DoctorFinding {
        guard certain >= 1000 else {
            return .ok("The clock is within a second of the clock of \(other).")
        }
        let seconds = OperatorText.decimal(Double(abs(offset)) / 1000)
        let sentence =
            "The clock is \(seconds) s \(offset > 0 ? "ahead of" : "behind") the clock of \(other)."
        let remedy = "Synchronise the clocks of all machines (chrony or systemd-timesyncd)."
        return certain >= 10_000 ? .failed(sentence, remedy) : .warning(sentence, remedy)
    }
}

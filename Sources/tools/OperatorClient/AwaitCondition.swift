import Configuration
import JSON

/// A state of the cluster that `confab await` waits for, as a value: it receives the document of
/// `confab nodes` and says what is missing.
enum AwaitCondition: Equatable {
    case healthy
    case drained(node: String)
    case nodes(Int)

    struct Mistake: Error, Equatable {
        let reason: String
    }

    /// - Throws: a sentence about the value.
    init(_ name: String, _ value: String?) throws(Mistake) {
        switch (name, value) {
        case ("healthy", nil): self = .healthy
        case ("healthy", _?): throw Mistake(reason: "VALUE: healthy has no value")
        case ("drained", let node?): self = .drained(node: node)
        case ("drained", nil): throw Mistake(reason: "VALUE: drained needs the name of a node")
        case (_, let text):
            guard let count = text.flatMap({ Int($0) }), (1...10_000).contains(count) else {
                throw Mistake(reason: "VALUE: nodes needs a number between 1 and 10000")
            }
            self = .nodes(count)
        }
    }

    /// - Parameter document: the document of `confab nodes`.
    /// - Returns: what is missing; nil if the cluster has the state.
    func missing(in document: JSONTree) -> String? {
        let rows = document["nodes"]?.elements ?? []
        func name(_ row: JSONTree) -> String { row["node"]?.stringValue ?? "?" }
        func state(_ row: JSONTree) -> String { row["state"]?.stringValue ?? "?" }
        switch self {
        case .healthy:
            let relevant = rows.filter { !["gone", "draining", "drained"].contains(state($0)) }
            let reasons = relevant.compactMap { row -> String? in
                guard let health = row["health"]?.stringValue else {
                    return "\(name(row)) does not answer"
                }
                guard health != "healthy" else { return nil }
                return "\(name(row)): \(row["reason"]?.stringValue ?? health)"
            }
            if relevant.isEmpty { return "no node accepts clients" }
            return reasons.isEmpty ? nil : reasons.joined(separator: "; ")
        case .drained(let node):
            guard let row = rows.first(where: { name($0) == node }) else {
                let names = rows.map(name).joined(separator: ", ")
                return "there is no node \(node); there are \(names)"
            }
            if state(row) == "drained" { return nil }
            let shards = row["shards"]?.integerValue ?? 0
            guard state(row) == "draining" else { return "\(node) is \(state(row))" }
            guard let clients = row["connections"]?.integerValue else {
                return "\(node) does not answer"
            }
            // The last node keeps its shards, because no other node can take them.
            let isLast = !rows.contains { name($0) != node && state($0) == "active" }
            if clients == 0, shards == 0 || isLast { return nil }
            return """
                \(node) has \(OperatorText.count(shards, "shard")) and \
                \(OperatorText.count(clients, "client")) left
                """
        case .nodes(let count):
            let active = rows.filter { state($0) == "active" }.count
            return active >= count
                ? nil : "\(OperatorText.count(active, "node")) of \(count) active"
        }
    }
}

/// `confab await`.
extension OperatorCommand {
    func awaitCondition() throws(AdminProblem) -> Int32 {
        let condition: AwaitCondition
        do throws(AwaitCondition.Mistake) {
            condition = try AwaitCondition(
                self.options.text("condition"), self.options["value"]?.stringValue)
        } catch {
            self.screen.printError("confab: await: \(error.reason)")
            return UsageError.exitStatus
        }
        let seconds = self.options["timeout"]?.doubleValue ?? 60
        let begin = ContinuousClock.now
        let deadline = begin + .seconds(seconds)
        while true {
            let missing = try self.missing(for: condition)
            guard let missing else {
                let waited = OperatorText.decimal((ContinuousClock.now - begin) / .seconds(1))
                return self.printSummary("reached after \(waited) s", dryRun: false)
            }
            guard ContinuousClock.now < deadline else {
                self.screen.printError(
                    "confab: not reached within \(OperatorText.decimal(seconds)) s: \(missing)")
                return 1
            }
            Self.waitBeforeNextRequest(.milliseconds(250))
        }
    }

    /// - Throws: an error that waiting does not change, such as a refused token.
    private func missing(for condition: AwaitCondition) throws(AdminProblem) -> String? {
        do throws(AdminProblem) {
            if let missing = condition.missing(in: try self.client.get("nodes")) { return missing }
            guard condition == .healthy else { return nil }
            let moving = try self.client.get("status")["shards_moving"]?.integerValue ?? 0
            return moving == 0 ? nil : "\(OperatorText.count(moving, "shard")) still moving"
        } catch {
            if case .rejected(let status, _) = error, status < 500 { throw error }
            return error.message.split(separator: "\n").joined(separator: "; ")
        }
    }
}

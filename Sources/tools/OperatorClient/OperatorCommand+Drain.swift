import Configuration
import JSON

/// `confab drain` and `confab resume`. The node does the work; the command starts it and reports
/// progress.
extension OperatorCommand {
    /// The additional time of a drain for handing over shards and for close handshakes.
    private static let graceSeconds = 25.0
    private static let resumeSeconds = 15.0

    private var name: String { self.options.text("node") }

    func drain() throws(AdminProblem) -> Int32 {
        guard self.isChangeAllowed else { return UsageError.exitStatus }
        let body = self.options.parameters
        let before = try self.client.post("drain", body + [.init("dry_run", true)])
        guard let row = before["nodes"]?.elements?.first, let plan = before["summary"]?.stringValue,
            before["nodes_answered"]?.integerValue == 1
        else {
            throw .noAnswer(
                "\(Formatting.escaped(self.name)) does not answer: it cannot be drained")
        }
        if self.options.isDryRun { return self.printSummary(plan, dryRun: true) }
        guard self.isConfirmed("\(plan). Drain it?") else { return 1 }
        let answer = try self.client.post("drain", body)
        let limit = (answer["drain"]?["seconds"]?.doubleValue ?? 10) + Self.graceSeconds
        var last = row
        let isDone = try self.watch(for: limit) { row in
            last = row
            self.screen.progress(
                "\(self.name): \(Self.load(of: row).shards), \(Self.load(of: row).connections) left"
            )
            return row["state"]?.stringValue == "drained"
        }
        self.screen.endProgress()
        guard isDone else {
            throw .noAnswer(
                """
                \(self.name) is still draining: \(Self.load(of: last).shards), \
                \(Self.load(of: last).connections) left
                """
            )
        }
        let shards = last["shards"]?.integerValue ?? 0
        let rest =
            shards == 0
            ? "owns no shards"
            : "keeps \(Self.load(of: last).shards) (there is no other node)"
        return self.printResult(
            last,
            """
            \(self.name) is drained: it \(rest) and has no clients until `confab resume \
            \(self.name)`
            """
        )
    }

    func resume() throws(AdminProblem) -> Int32 {
        guard self.isChangeAllowed else { return UsageError.exitStatus }
        let body = self.options.parameters
        if self.options.isDryRun {
            let plan = try self.client.post("resume", body + [.init("dry_run", true)])
            return self.printSummary(plan["summary"]?.stringValue ?? "", dryRun: true)
        }
        let question = "Resume \(self.name), so that it accepts clients and shards?"
        guard self.isConfirmed(question) else { return 1 }
        let answer = try self.client.post("resume", body)
        var last = JSONTree.null
        let isDone = try self.watch(for: Self.resumeSeconds) { row in
            last = row
            return row["state"]?.stringValue == "active"
        }
        guard isDone else {
            throw .noAnswer(
                "\(self.name) was resumed, and is still \(last["state"]?.stringValue ?? "silent")"
            )
        }
        return self.printResult(last, answer["summary"]?.stringValue ?? "")
    }

    /// Polls the node twice a second.
    ///
    /// - Parameter isDone: receives the node's row.
    private func watch(for seconds: Double, until isDone: (JSONTree) -> Bool)
        throws(AdminProblem) -> Bool
    {
        let end = ContinuousClock.now + .seconds(seconds)
        while true {
            let document = try self.client.get("nodes")
            guard
                let row = document["nodes"]?.elements?.first(where: {
                    $0["node"]?.stringValue == self.name
                }),
                row["state"]?.stringValue != "gone"
            else {
                throw .noAnswer("\(self.name) is gone")
            }
            if isDone(row) { return true }
            guard ContinuousClock.now < end else { return false }
            Self.waitBeforeNextRequest()
        }
    }

    static func load(of row: JSONTree) -> (shards: String, connections: String) {
        (
            OperatorText.count(row["shards"]?.integerValue ?? 0, "shard"),
            row["connections"]?.integerValue.map { OperatorText.count($0, "client") }
                ?? "an unknown number of clients"
        )
    }

    private func printResult(_ row: JSONTree, _ message: String) -> Int32 {
        guard self.options.output == .json else {
            return self.printSummary(message, dryRun: false)
        }
        self.screen.write(
            JSONTree.object(
                [.init("schema_version", 1)] + (row.members ?? []) + [
                    .init("summary", .string(message))
                ]
            ).text + "\n")
        return 0
    }
}

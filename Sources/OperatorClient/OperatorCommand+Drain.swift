import Configuration
import Glibc
import JSON

/// Taking a node out of service and back. The node does it; this only tells it to, and watches.
extension OperatorCommand {
    /// What a drain may take longer than its closes: handing over, and close handshakes.
    private static let graceSeconds = 25.0
    private static let resumeSeconds = 15.0

    private var name: String { self.options.node ?? "" }

    func drain() throws(AdminProblem) -> Int32 {
        var question: [JSONTree.ObjectMember] = [.init("node", .string(self.name))]
        if let rate = self.options.rate { question.append(.init("rate", .integer(rate))) }
        if let deadline = self.options.deadline {
            question.append(.init("deadline", .number(Formatting.decimal(deadline / .seconds(1)))))
        }
        let before = try self.connection.post("drain", .object(question + [.init("dry_run", true)]))
        guard let row = before["nodes"]?.elements?.first,
            before["nodes_answered"]?.integerValue == 1
        else {
            throw .noAnswer(
                "\(Formatting.escaped(self.name)) does not answer: it cannot be drained")
        }
        let load = Self.load(of: row)
        // Alone, or where all others are drained, there is nobody to give the shards to.
        let isAlone = self.others(in: try self.connection.get("nodes")) == 0
        let (plan, would) =
            isAlone
            ? ("keep \(load.shards)", "keep \(load.shards), for nobody else is there,")
            : ("hand over \(load.shards)", "hand over \(load.shards)")
        if self.options.isDryRun {
            return self.printSummary(
                "\(self.name) would \(would) and close \(load.connections)", dryRun: true)
        }
        let isAgreed = self.screen.confirms(
            "Drain \(self.name): \(plan) and close \(load.connections)?",
            isConfirmed: self.options.isConfirmed)
        guard isAgreed else { return 1 }
        let answer = try self.connection.post("drain", .object(question))
        let limit = (answer["drain"]?["seconds"]?.doubleValue ?? 10) + Self.graceSeconds
        var last = row
        let isDone = try self.watch(for: limit) { row, others in
            last = row
            self.screen.progress(
                "\(self.name): \(Self.load(of: row).shards), \(Self.load(of: row).connections) left"
            )
            return row["connections"]?.integerValue == 0
                && (row["shards"]?.integerValue == 0 || others == 0)
                && row["state"]?.stringValue == "draining"
        }
        self.screen.endProgress()
        guard isDone else {
            throw .noAnswer(
                "\(self.name) is still at it: \(Self.load(of: last).shards), \(Self.load(of: last).connections) left"
            )
        }
        let shards = last["shards"]?.integerValue ?? 0
        let rest =
            shards == 0
            ? "owns nothing"
            : "keeps \(Self.load(of: last).shards), for nobody else is there to take them,"
        return self.printResult(
            last,
            "\(self.name) is drained: it \(rest) and has no clients until `confab resume \(self.name)`"
        )
    }

    func resume() throws(AdminProblem) -> Int32 {
        let question: JSONTree = [
            "node": .string(self.name), "dry_run": .bool(self.options.isDryRun),
        ]
        if self.options.isDryRun {
            _ = try self.connection.post("resume", question)
            return self.printSummary(
                "\(self.name) would take clients and its share of the shards", dryRun: true)
        }
        guard
            self.screen.confirms(
                "Have \(self.name) take clients and shards again?",
                isConfirmed: self.options.isConfirmed)
        else { return 1 }
        _ = try self.connection.post("resume", question)
        var last = JSONTree.null
        let isDone = try self.watch(for: Self.resumeSeconds) { row, _ in
            last = row
            return row["state"]?.stringValue == "active"
        }
        guard isDone else {
            throw .noAnswer(
                "\(self.name) has been told, and is still \(last["state"]?.stringValue ?? "silent")"
            )
        }
        return self.printResult(last, "\(self.name) takes clients, and its share of the shards")
    }

    /// Looks at the node twice a second.
    ///
    /// - Parameter isDone: told of the node's row, and how many others take shards.
    private func watch(for seconds: Double, until isDone: (JSONTree, Int) -> Bool)
        throws(AdminProblem) -> Bool
    {
        let end = ContinuousClock.now + .seconds(seconds)
        while true {
            let document = try self.connection.get("nodes")
            let others = self.others(in: document)
            guard
                let row = document["nodes"]?.elements?.first(where: {
                    $0["node"]?.stringValue == self.name
                }),
                row["state"]?.stringValue != "gone"
            else {
                throw .noAnswer("\(self.name) is gone")
            }
            if isDone(row, others) { return true }
            guard ContinuousClock.now < end else { return false }
            poll(nil, 0, 500)
        }
    }

    /// How many nodes but this take shards: one that is silent for a moment still does, until it is gone.
    private func others(in document: JSONTree) -> Int {
        (document["nodes"]?.elements ?? []).filter {
            $0["node"]?.stringValue != self.name
                && ["active", "suspect"].contains($0["state"]?.stringValue)
        }.count
    }

    private static func load(of row: JSONTree) -> (shards: String, connections: String) {
        (
            Formatting.count(row["shards"]?.integerValue ?? 0, "shard"),
            row["connections"]?.integerValue.map { Formatting.count($0, "client") }
                ?? "an unknown number of clients"
        )
    }

    private func printResult(_ row: JSONTree, _ sentence: String) -> Int32 {
        guard self.options.output == .json else {
            return self.printSummary(sentence, dryRun: false)
        }
        self.screen.write(
            JSONTree.object(
                [.init("schema_version", 1)] + (row.members ?? []) + [
                    .init("summary", .string(sentence))
                ]
            ).text + "\n")
        return 0
    }
}

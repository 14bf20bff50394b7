import Configuration
import JSON

/// `confab verify --all`: asks a node for one part of the conversations after the other.
extension OperatorCommand {
    private static let pageSize = 50
    /// How long it repeats a part that the cluster cannot answer.
    private static let patienceSeconds = 15.0

    /// The progress of a run.
    private struct Verification {
        var conversationCount = 0
        var messageCount = 0
        var faults: [JSONTree] = []
        var remainingCount = 0
    }

    func verifyAll() throws(AdminProblem) -> Int32 {
        let repairs = self.options["repair"]?.boolValue == true
        if repairs, !self.options.isDryRun {
            guard self.isChangeAllowed else { return UsageError.exitStatus }
            let question = "Repair every conversation that has a fault which can be repaired?"
            guard self.isConfirmed(question) else { return 1 }
        }
        let rate = self.options["rate"]?.integerValue ?? 20_000
        var run = Verification()
        var cursor: String?
        repeat {
            let begin = ContinuousClock.now
            let page = try self.page(after: cursor, run)
            run.conversationCount += page["checked"]?.integerValue ?? 0
            let messages = page["messages"]?.integerValue ?? 0
            run.messageCount += messages
            for row in page["conversations"]?.elements ?? [] {
                try self.record(row, repairs: repairs, in: &run)
            }
            cursor = page["next"]?.stringValue
            self.screen.progress(
                """
                \(OperatorText.count(run.conversationCount, "conversation")), \
                \(OperatorText.count(run.messageCount, "message")), \
                \(OperatorText.count(run.faults.count, "fault"))
                """)
            let pause = .seconds(Double(messages) / Double(rate)) - (ContinuousClock.now - begin)
            if cursor != nil, pause > .zero { Self.waitBeforeNextRequest(pause) }
        } while cursor != nil
        self.screen.endProgress()
        self.show(run)
        return run.remainingCount == 0 ? 0 : 1
    }

    /// Repeats the request while the cluster or its store does not answer.
    private func page(after cursor: String?, _ run: Verification) throws(AdminProblem) -> JSONTree {
        var values: [JSONTree.ObjectMember] = [.init("limit", .integer(Self.pageSize))]
        if let cursor { values.append(.init("after", .string(cursor))) }
        let deadline = ContinuousClock.now + .seconds(Self.patienceSeconds)
        while true {
            do throws(AdminProblem) {
                return try self.client.get("verify/all", values)
            } catch {
                guard error.exitStatus == 3 else { throw error }
                guard ContinuousClock.now < deadline else {
                    self.screen.endProgress()
                    throw .noAnswer(
                        """
                        not finished, after \
                        \(OperatorText.count(run.conversationCount, "conversation")) with \
                        \(OperatorText.count(run.faults.count, "fault")): \(error.message)
                        """)
                }
                self.screen.progress("waiting: \(error.message)")
                Self.waitBeforeNextRequest()
            }
        }
    }

    /// Adds the faults of a conversation, after their repair if it is wanted.
    private func record(_ row: JSONTree, repairs: Bool, in run: inout Verification)
        throws(AdminProblem)
    {
        let names = (row.members ?? []).filter { ["conversation", "tenant"].contains($0.name) }
        func add(_ faults: [JSONTree], _ outcome: String) {
            run.faults += faults.map { fault in
                .object(names + [.init("outcome", .string(outcome)), .init("fault", fault)])
            }
        }
        let faults = row["faults"]?.elements ?? []
        guard repairs else {
            add(faults, "found")
            run.remainingCount += faults.count
            return
        }
        let isDryRun = self.options.isDryRun
        do throws(AdminProblem) {
            let answer = try self.client.post(
                "repair", names + (isDryRun ? [.init("dry_run", true)] : []))
            let repaired = answer["repaired"]?.elements ?? []
            let remaining = answer["remaining"]?.elements ?? []
            add(repaired, isDryRun ? "repairable" : "repaired")
            add(remaining, "remains")
            run.remainingCount += remaining.count + (isDryRun ? repaired.count : 0)
        } catch {
            // The other conversations can still be repaired.
            if case .rejected(let status, _) = error, status != 409, status < 500 { throw error }
            add(faults, "remains")
            add([.string(error.message)], "not repaired")
            run.remainingCount += faults.count
        }
    }

    private func show(_ run: Verification) {
        let table = RowTable(OperatorVerb.foundFaultColumns, run.faults)
        switch self.options.output {
        case .table:
            if !run.faults.isEmpty {
                self.screen.show(table.table(), hasHeader: true, isWhole: false)
            }
            let faults = OperatorText.count(run.faults.count, "fault")
            self.screen.write(
                """
                \(OperatorText.count(run.conversationCount, "conversation")) with \
                \(OperatorText.count(run.messageCount, "message")): \
                \(run.faults.isEmpty ? "no faults" : faults)\n
                """)
        case .csv: self.screen.write(table.csv())
        case .json:
            self.screen.write(
                JSONTree.object([
                    .init("schema_version", 1), .init("complete", .bool(run.remainingCount == 0)),
                    .init("conversations", .integer(run.conversationCount)),
                    .init("messages", .integer(run.messageCount)),
                    .init("faults", .array(run.faults)),
                ]).text + "\n")
        }
    }
}

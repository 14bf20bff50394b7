import Configuration
import JSON

/// `confab rebalance`. The nodes close their surplus; the command starts it and reports progress.
extension OperatorCommand {
    /// The additional time for clients to connect again.
    private static let reconnectSeconds = 15.0

    func rebalance() throws(AdminProblem) -> Int32 {
        guard self.isChangeAllowed else { return UsageError.exitStatus }
        let body = self.options.parameters
        let plan = try self.client.post("rebalance", body + [.init("dry_run", true)])
        let summary = plan["summary"]?.stringValue ?? ""
        if self.options.isDryRun || plan["surplus"]?.integerValue == 0 {
            return self.printSummary(summary, dryRun: self.options.isDryRun)
        }
        guard self.isConfirmed("It \(summary). Do it?") else { return 1 }
        let order = try self.client.post("rebalance", body)
        let end =
            ContinuousClock.now
            + .seconds((order["seconds"]?.doubleValue ?? 0) + Self.reconnectSeconds)
        while true {
            let rest: JSONTree
            do throws(AdminProblem) {
                rest = try self.client.post("rebalance", body + [.init("dry_run", true)])
            } catch {
                // A node that moves many clients may answer late.
                guard ContinuousClock.now < end else { throw error }
                Self.waitBeforeNextRequest()
                continue
            }
            let text = (rest["nodes"]?.elements ?? []).map { row in
                "\(row["node"]?.stringValue ?? "?"): \(Self.load(of: row).connections)"
            }.joined(separator: ", ")
            self.screen.progress(text)
            if rest["surplus"]?.integerValue == 0 {
                self.screen.endProgress()
                return self.printSummary("the clients are spread evenly: \(text)", dryRun: false)
            }
            guard ContinuousClock.now < end else {
                self.screen.endProgress()
                self.screen.printError(
                    """
                    confab: the clients are not spread evenly, because those that were closed \
                    have not returned, or the load balancer sent them back: \(text)
                    """)
                return 1
            }
            Self.waitBeforeNextRequest()
        }
    }
}

internal import Configuration
import JSON

/// `confab trace`.
extension OperatorCommand {
    /// How far back each request looks. Consecutive requests overlap, so that none is missed.
    private static let window = 6.0

    func trace() throws(AdminProblem) -> Int32 {
        let isOfUser = self.options["user"] != nil
        let isOfMessage =
            self.options["message"] != nil && self.options["conversation"] != nil
        let hasOther =
            isOfUser
            ? self.options["message"] != nil || self.options["conversation"] != nil
            : self.options["for"] != nil
        guard isOfUser != isOfMessage, !hasOther else {
            self.screen.printError(
                """
                confab: trace: give either MESSAGE and --conversation, or --user (with --for); \
                see confab trace --help
                """
            )
            return 2
        }
        return isOfUser ? try self.followUser() : try self.showDocument()
    }

    /// Prints the messages of a user as they happen.
    ///
    /// - Returns: 3 if a node did not answer in the end.
    private func followUser() throws(AdminProblem) -> Int32 {
        let seconds = self.options["for"]?.doubleValue ?? 60
        let query = self.options.parameters.filter { $0.name != "for" }
        let start = ContinuousClock.now
        var lines = TraceLines()
        if self.options.output == .csv, self.options.hasHeader {
            self.screen.write(
                RowTable(OperatorVerb.tracedMessageColumns, []).csv(hasHeader: true))
        }
        while true {
            let elapsed = (ContinuousClock.now - start) / .seconds(1)
            let past = min(Self.window, max(1, elapsed + 1))
            let document = try self.client.get(
                "trace", query + [.init("for", .number(OperatorText.decimal(past)))])
            let isLast = elapsed >= seconds
            let rows = document["messages"]?.elements ?? []
            for row in lines.select(rows, elapsed: elapsed, isLast: isLast) {
                self.screen.write(self.text(of: row))
            }
            if self.screen.hasFailed { return 1 }
            if isLast { return self.screen.showMissingNodes(of: document) }
            Self.waitBeforeNextRequest()
        }
    }

    private func text(of row: JSONTree) -> String {
        switch self.options.output {
        case .table: TraceLines.line(of: row)
        case .json: row.text + "\n"
        case .csv: RowTable(OperatorVerb.tracedMessageColumns, [row]).csv(hasHeader: false)
        }
    }
}

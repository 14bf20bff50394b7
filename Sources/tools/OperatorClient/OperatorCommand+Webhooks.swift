import Configuration
import JSON

/// `confab webhooks`: the receivers, the dead letters, or a change of these.
extension OperatorCommand {
    func webhooks() throws(AdminProblem) -> Int32 {
        let changes = ["retry", "drop"].compactMap { action in
            self.options[action].map { (action: action, id: $0) }
        }
        guard changes.count + (self.options["dead"] == nil ? 0 : 1) <= 1 else {
            self.screen.printError(
                "confab: webhooks: --dead, --retry and --drop exclude each other")
            return UsageError.exitStatus
        }
        if let change = changes.first {
            return try self.change(
                "webhooks/change",
                [.init("action", .string(change.action)), .init("id", change.id)])
        }
        guard self.options["dead"] != nil else {
            return try self.showDocument(parameters: [])
        }
        let verb = OperatorVerb.all.first { $0.path == "webhooks/dead" }
        guard case .table(let key, let columns, _, _)? = verb?.display else {
            preconditionFailure("the dead letters are no table")
        }
        return try self.showTable(
            "webhooks/dead", key, columns, hasTotals: false, isLarge: false, parameters: [])
    }
}

import TestKit
import Testing

/// The output and exit status of a command.
struct CommandResult {
    let status: Int32
    let output: String
    let errors: String

    var document: JSONObject { get throws { try JSONObject(self.output) } }
    func rows(_ key: String) throws -> [JSONObject] { try self.document.objects(key) ?? [] }
}

/// Runs an operator command with an admin listener.
func confab(_ arguments: String..., at port: UInt16, environment: [String: String] = [:]) throws
    -> CommandResult
{
    try confab(arguments, at: port, environment: environment)
}

func confab(_ arguments: [String], at port: UInt16, environment: [String: String] = [:]) throws
    -> CommandResult
{
    var environment = environment
    environment["CONFAB_ADMIN_URL"] = "http://127.0.0.1:\(port)"
    let result = try run(Checkout.confab, arguments, environment: environment)
    guard case .exited(let status) = result.exitStatus else {
        throw TestFailure("\(arguments) was killed: \(result.errors)")
    }
    return CommandResult(status: status, output: result.output, errors: result.errors)
}

extension LocalCluster {
    /// Waits until `confab status` at a node shows all nodes of the cluster, and no problem.
    func awaitHealth(at node: Int = 0) throws {
        let port = try #require(self.nodes[node].adminPort)
        try Deadline.wait(
            for: "\(self.nodes.count) nodes without problems",
            untilTrue: {
                let status = try confab("status", at: port)
                return status.output.contains("NODES          \(self.nodes.count)\n")
                    && status.output.hasSuffix("\nNo problems.")
            })
    }
}

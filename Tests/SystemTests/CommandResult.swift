import TestKit

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

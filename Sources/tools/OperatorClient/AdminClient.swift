internal import Bytes
internal import JSON

/// Sends requests to the first of several nodes that answers.
final class AdminClient {
    private static let probe = Duration.seconds(2)
    private static let quickProbe = Duration.milliseconds(500)

    private let connections: [AdminConnection]
    private var chosen: AdminConnection?

    /// - Parameter urls: each must have passed the command line's check.
    init(_ urls: [String], token: String?) {
        self.connections = urls.map { AdminConnection($0, token: token) }
    }

    /// - Parameter values: the parameters of the query.
    func get(_ path: String, _ values: [JSONTree.ObjectMember] = []) throws(AdminProblem)
        -> JSONTree
    {
        let query = values.map { member in
            let text = member.value.stringValue ?? member.value.text
            return "\(member.name)=\(PercentEncoding.encode(text))"
        }
        return try self.send(
            "GET", query.isEmpty ? path : "\(path)?\(query.joined(separator: "&"))", nil)
    }

    func post(_ path: String, _ body: [JSONTree.ObjectMember]) throws(AdminProblem) -> JSONTree {
        try self.send("POST", path, .object(body))
    }

    /// A failed request is not sent to another node, because the first may have executed it. The
    /// next request chooses again. If a change has no answer, the error says that it may be made.
    private func send(_ method: String, _ path: String, _ body: JSONTree?) throws(AdminProblem)
        -> JSONTree
    {
        let connection = try self.choose()
        do throws(AdminProblem) {
            return try connection.send(method, path, body)
        } catch {
            guard case .noAnswer(let message) = error else { throw error }
            self.chosen = nil
            guard let body, body["dry_run"]?.boolValue != true else { throw error }
            throw .noAnswer(
                "\(message). The change may have been made; check before you repeat the command")
        }
    }

    /// Returns a connection to the first node that answers a small request. An accepted connection
    /// proves nothing, because the kernel accepts for a stopped process too. With several nodes,
    /// each has half a second in a first round; in the last round each has two seconds.
    private func choose() throws(AdminProblem) -> AdminConnection {
        if let chosen { return chosen }
        let rounds = self.connections.count > 1 ? [Self.quickProbe, Self.probe] : [Self.probe]
        var problems: [String] = []
        for limit in rounds {
            problems = []
            for connection in self.connections {
                do throws(AdminProblem) {
                    try connection.probe(within: limit)
                    self.chosen = connection
                    return connection
                } catch {
                    problems.append(error.message)
                }
            }
        }
        throw .noAnswer(
            problems.joined(separator: "\n")
                + "\n--admin must name the admin listener of a running node")
    }
}

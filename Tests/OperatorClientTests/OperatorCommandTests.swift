import Configuration
import TestKit
import Testing

@testable import OperatorClient

@Suite("An operator command")
struct OperatorCommandTests {
    /// Runs a command line and returns its exit status.
    private static func run(_ line: String) throws -> Int32 {
        let words = line.split(separator: " ").map(String.init)
        guard
            case .operate(let options) = try Invocation(
                words, environment: [:], CommandTable(.none, .none))
        else {
            throw TestFailure("\(line) is no operator command")
        }
        return OperatorCommand.run(options, environment: [:])
    }

    @Test(
        "ends with the status of the node's answer",
        arguments: [
            // The command, the status and the members of the node's document, the exit status.
            ("nodes", 200, #""nodes":[],"nodes_asked":2,"nodes_answered":2"#, 0),
            ("nodes", 200, #""nodes":[],"nodes_asked":2,"nodes_answered":1"#, 3),
            ("nodes", 404, #""error":"not here""#, 1),
            ("nodes", 503, #""error":"stopping""#, 3),
            ("nodes --sort -shards", 200, #""nodes":[]"#, 0),
            ("shards --sort -moving", 200, #""shards":[]"#, 0),
            ("shards --sort -epoch", 200, #""shards":[]"#, 2),
            ("shards --all --sort -epoch", 200, #""shards":[]"#, 0),
            ("verify lobby", 200, #""complete":true"#, 0),
            ("verify lobby", 200, #""complete":false,"faults":["a gap"]"#, 1),
            ("verify lobby", 200, #""complete":true,"nodes_asked":2,"nodes_answered":1"#, 3),
            ("verify lobby", 200, #""complete":false,"nodes_asked":2,"nodes_answered":1"#, 1),
            ("send lobby hello --as ops --yes", 200, #""summary":"message 4 of lobby""#, 0),
            ("send lobby hello --as ops --yes", 404, #""error":"no lobby""#, 1),
        ] as [(String, Int, String, Int32)])
    func statuses(line: String, status: Int, members: String, exitStatus: Int32) throws {
        for output in ["table", "json", "csv"] {
            let listener = try ScriptedAdminListener(
                response: "HTTP/1.1 \(status) X\r\n\r\n{\"schema_version\":1,\(members)}")
            let result = try Self.run(
                "\(line) --output \(output) --admin http://127.0.0.1:\(listener.port)")
            #expect(result == exitStatus, "--output \(output)")
        }
    }

    @Test(
        "asks for what its options say",
        arguments: [
            ("nodes", "nodes"), ("shards --node n1", "shards?node=n1"), ("shards --all", "shards"),
            ("conversations --limit 100000", "conversations?limit=10000"),
            ("connections --limit 10000", "connections?limit=10000"),
            ("owner lobby --tenant t", "owner?tenant=t&conversation=lobby"),
            ("history lobby", "history?conversation=lobby"),
            ("history lobby --last 5", "history?last=5&conversation=lobby"),
            ("history lobby --after 7", "history?after=7&conversation=lobby"),
            (
                "connections --user alice --slow --sort -in --limit 5",
                "connections?user=alice&slow=true&sort=-in&limit=5"
            ),
            ("conversations --sort MSG/S", "conversations?sort=msg_s"),
            ("connection n1/0.2.3", "connection?connection=n1%2F0.2.3"),
            ("user alice --wide --tenant t", "user?tenant=t&user=alice"),
            ("node n1", "node?node=n1"),
            ("events --last 3", "events?last=3"), ("events", "events"),
        ])
    func paths(line: String, path: String) throws {
        let listener = try ScriptedAdminListener(
            response: "HTTP/1.1 200 OK\r\n\r\n{\"schema_version\":1}")
        _ = try Self.run("\(line) --output csv --admin http://127.0.0.1:\(listener.port)")
        #expect(listener.request.hasPrefix("GET /api/cluster/\(path) HTTP/1.1\r\n"))
    }

    @Test("rejects an unknown column, or an unreadable token file, without asking a node")
    func usageErrors() throws {
        let url = try "http://127.0.0.1:\(freePort())"
        #expect(try Self.run("nodes --sort none --admin \(url)") == UsageError.exitStatus)
        #expect(try Self.run("nodes --columns none --admin \(url)") == UsageError.exitStatus)
        // Without a terminal, no user can confirm it.
        #expect(try Self.run("resume n1 --admin \(url)") == UsageError.exitStatus)
        #expect(try Self.run("send a b --as c --admin \(url)") == UsageError.exitStatus)
        #expect(
            try Self.run("nodes --admin-token-file /nowhere/token --admin \(url)")
                == UsageError.exitStatus)
        #expect(try Self.run("nodes --admin \(url)") == 3)
    }
}

import Bytes
import Foundation
import JSON
import TestKit
import Testing

@testable import OperatorClient

@Suite("A connection to a node's admin listener")
struct AdminConnectionTests {
    /// The result of reading a response.
    enum ExpectedOutcome: Equatable {
        case document(view: Int)
        case rejected(Int, String)
        /// The message follows the URL.
        case noAnswer(String)
    }

    private static let foreign = ExpectedOutcome.noAnswer(": the response is not from a node")

    @Test(
        "returns a node's document, and otherwise says what is wrong",
        arguments: [
            ("HTTP/1.1 200 OK\r\n\r\n{\"schema_version\":1,\"view\":7}", .document(view: 7), 0),
            // Another program listens there.
            ("HTTP/1.1 200 OK\r\n\r\n{\"view\":7}", foreign, 3),
            ("HTTP/1.1 200 OK\r\n\r\n<html>", foreign, 3),
            ("HTTP/1.1 200 OK\r\nX: y\r\n", foreign, 3),
            ("220 mail.test ESMTP\r\n\r\n", foreign, 3),
            ("HTTP/1.1 ok\r\n\r\n", foreign, 3),
            ("", .noAnswer(": the connection ended without an answer"), 3),
            // The node rejects the request, or cannot answer it.
            ("HTTP/1.1 404 Not Found\r\n\r\n{\"error\":\"no n9\"}", .rejected(404, "no n9"), 1),
            ("HTTP/1.1 503 Wait\r\n\r\n{\"error\":\"draining\"}", .rejected(503, "draining"), 3),
            (
                "HTTP/1.1 500 Oops\r\n\r\n", .rejected(500, "URL: responded with status 500"), 3
            ),
        ] as [(String, ExpectedOutcome, Int32)])
    func responses(response: String, outcome: ExpectedOutcome, exitStatus: Int32) throws {
        let listener = try ScriptedAdminListener(response: response)
        let url = "http://127.0.0.1:\(listener.port)"
        let connection = AdminClient([url], token: nil)
        do throws(AdminProblem) {
            let document = try connection.get("nodes")
            #expect(outcome == .document(view: document["view"]?.integerValue ?? 0))
            #expect(exitStatus == 0)
        } catch {
            #expect(error.exitStatus == exitStatus)
            switch error {
            case .rejected(let status, let message):
                #expect(
                    outcome
                        == .rejected(status, message.replacingOccurrences(of: url, with: "URL")))
            case .noAnswer(let message):
                #expect(message.hasPrefix(url))
                #expect(outcome == .noAnswer(String(message.dropFirst(url.count))))
            }
        }
    }

    private static let response = "HTTP/1.1 200 OK\r\n\r\n{\"schema_version\":1}"

    @Test("sends the path, the host and the token")
    func get() throws {
        let listener = try ScriptedAdminListener(response: Self.response)
        _ = try AdminClient(["http://127.0.0.1:\(listener.port)/"], token: "secret").get("nodes")
        #expect(
            listener.request
                == """
                GET /api/cluster/nodes HTTP/1.1\r
                Host: 127.0.0.1:\(listener.port)\r
                Connection: close\r
                Authorization: Bearer secret\r
                \r

                """)
    }

    @Test("says that a change without an answer may have been made", arguments: [true, false])
    func unansweredChange(isDryRun: Bool) throws {
        let listener = try ScriptedAdminListener(response: "")
        let url = "http://127.0.0.1:\(listener.port)"
        let end = "The change may have been made; check before you repeat the command"
        do throws(AdminProblem) {
            _ = try AdminClient([url], token: nil).post("ban", [.init("dry_run", .bool(isDryRun))])
            Issue.record("there is no answer")
        } catch {
            #expect(error.message.hasSuffix(end) == !isDryRun, "\(error.message)")
            #expect(error.exitStatus == 3)
        }
    }

    @Test("sends a document with its length")
    func post() throws {
        let listener = try ScriptedAdminListener(response: Self.response)
        _ = try AdminClient(["http://localhost:\(listener.port)"], token: nil)
            .post("send", [.init("content", "ü")])
        #expect(
            listener.request
                == """
                POST /api/cluster/send HTTP/1.1\r
                Host: localhost:\(listener.port)\r
                Connection: close\r
                Content-Type: application/json\r
                Content-Length: 16\r
                \r
                {"content":"ü"}
                """)
    }

    @Test("names the option if no node listens there")
    func unreachable() throws {
        let url = try "http://127.0.0.1:\(freePort())"
        #expect(
            throws: AdminProblem.noAnswer(
                """
                \(url): Connection refused
                --admin must name the admin listener of a running node
                """)
        ) { try AdminClient([url], token: nil).get("nodes") }
    }

    @Test("uses the next address if one refuses connections or does not answer within 2 seconds")
    func nextAddress() throws {
        let refusing = try "http://127.0.0.1:\(freePort())"
        let silent = try SilentListener()
        let listener = try ScriptedAdminListener(response: Self.response)
        let client = AdminClient(
            [
                refusing, "http://127.0.0.1:\(silent.port)",
                "http://127.0.0.1:\(listener.port)",
            ], token: nil)
        _ = try client.get("nodes")
        #expect(listener.request.hasPrefix("GET /api/cluster/nodes "))
    }

    @Test(
        "encodes conversations in a query",
        arguments: [
            ("lobby", "default", "?conversation=lobby&tenant=default"),
            ("a b&c", "ü/t", "?conversation=a%20b%26c&tenant=%C3%BC%2Ft"),
        ])
    func query(conversation: String, tenant: String, query: String) throws {
        let listener = try ScriptedAdminListener(response: Self.response)
        _ = try AdminClient(["http://127.0.0.1:\(listener.port)"], token: nil).get(
            "owner",
            [.init("conversation", .string(conversation)), .init("tenant", .string(tenant))])
        #expect(listener.request.hasPrefix("GET /api/cluster/owner\(query) HTTP/1.1"))
    }
}

/// Accepts connections, as the kernel does for a stopped process, and never answers.
private final class SilentListener {
    let port: UInt16
    private let listener: Int32

    init() throws {
        (self.listener, self.port) = try ScriptedAdminListener.listen()
    }

    deinit { close(self.listener) }
}

import Foundation
import TestKit
import TestTraits
import Testing

/// `confab top` in a terminal, with a real server.
@Suite("confab top in a terminal", .programs, .ownThread)
struct TopCommandTests {
    private func top(
        _ port: UInt16, _ options: [String] = [], columns: Int = 80, rows: Int = 24
    ) throws -> PseudoTerminal {
        try PseudoTerminal(
            [Checkout.confab, "top", "--watch", "0.5", "--admin", "http://127.0.0.1:\(port)"]
                + options, columns: columns, rows: rows,
            environment: ["TERM": "xterm-256color", "LANG": "C.UTF-8", "TZ": "UTC"])
    }

    @Test("shows the nodes, obeys its keys and follows the size of the terminal")
    func keys() throws {
        let server = try ConfabServer(["--node-id", "n1"])
        let top = try self.top(server.adminPort)
        defer { top.close() }
        let rows = try top.awaitRow(with: "NODE")
        #expect(rows.first?.hasPrefix("confab top  [nodes]") == true)
        #expect(rows.last == "s sort  r reverse  ←→ view  p pause  ? keys  q quit")
        top.type("s")
        try top.awaitRow(with: "sorted by STATE")
        top.type("p")
        try top.awaitRow(with: "PAUSED")
        top.type("p")
        top.type("?")
        try top.awaitRow(with: "sort by the next column")
        top.type("?")
        try top.awaitRow(with: "NODE")
        top.resize(columns: 120, rows: 30)
        try top.awaitScreen("thirty rows") {
            $0.count == 30 && $0.last?.hasPrefix("s sort") == true
        }
        top.type("\u{1B}[D")
        try top.awaitRow(with: "[redis]")
        top.type("q")
        #expect(try top.waitForExit() == 0)
        #expect(top.isRestored)
        #expect(top.unknownSequences == [])
        #expect(!top.rows.contains { $0.contains("confab top") })
    }

    @Test("restores the terminal after Ctrl-C and SIGTERM", .long)
    func signals() throws {
        let server = try ConfabServer()
        let interrupted = try self.top(server.adminPort)
        defer { interrupted.close() }
        try interrupted.awaitRow(with: "NODE")
        interrupted.type("\u{03}")
        #expect(try interrupted.waitForExit() == 130)
        #expect(interrupted.isRestored)

        let terminated = try self.top(server.adminPort)
        defer { terminated.close() }
        try terminated.awaitRow(with: "NODE")
        terminated.signal(SIGTERM)
        #expect(try terminated.waitForExit() == 143)
        #expect(terminated.isRestored)
    }

    @Test(
        "names the problem if the node ends, keeps the last rows, and continues with the next",
        .long)
    func nodeEnds() throws {
        let port = try freePort()
        let server = try ConfabServer(["--node-id", "n1", "--admin", "127.0.0.1:\(port)"])
        let top = try self.top(port)
        defer { top.close() }
        try top.awaitRow(with: "n1")
        server.process.kill()
        let rows = try top.awaitRow(with: "! http://127.0.0.1:\(port): ")
        #expect(rows.contains { $0.hasPrefix("n1") })
        let next = try ConfabServer(["--node-id", "n2", "--admin", "127.0.0.1:\(port)"])
        try top.awaitRow(with: "n2")
        try top.awaitScreen("no problem") { !$0.contains { $0.hasPrefix("! ") } }
        // A stopped node does not block the keys.
        try next.process.freeze()
        usleep(700_000)
        top.type("q")
        #expect(try top.waitForExit() == 0)
        kill(next.process.id, SIGCONT)
        #expect(top.isRestored)
    }

    @Test("needs a terminal", .long)
    func pipe() throws {
        let server = try ConfabServer()
        let result = try confab("top", at: server.adminPort)
        #expect(result.status == 2)
        #expect(result.errors.contains("needs a terminal"))
    }
}

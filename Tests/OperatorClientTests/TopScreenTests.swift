import Configuration
import Foundation
import JSON
import TerminalKit
import TestKit
import Testing

@testable import OperatorClient

@Suite("The screen of confab top")
struct TopScreenTests {
    private static let views = ["nodes", "redis"].compactMap { name in
        OperatorVerb.named(name).flatMap { TopScreen.TopView($0) }
    }

    static let nodes: JSONTree = {
        func node(_ name: String, _ state: String, connections: Int?, in rate: Double) -> JSONTree {
            [
                "node": .string(name), "state": .string(state), "address": "10.0.0.7:8080",
                "version": "1.2.0", "uptime": 93_784,
                "connections": connections.map { .integer($0) } ?? .null, "users": 1200,
                "conversations": 340, "shards": 1365, "in_s": .number("\(rate)"),
                "out_s": .number("\(rate * 10)"), "slow": 0, "pending": 2048, "mail_age": 120,
                "loop_lag_p99": .number("1.5"), "rss": 73_400_320, "b_conn": 1843, "cpu": 12,
                "imbalance": .integer(name == "n1" ? 20 : -10),
            ]
        }
        return [
            "schema_version": 1,
            "nodes": [
                node("n1", "active", connections: 5000, in: 100),
                node("n2", "draining", connections: 12, in: 7.5),
                node("n3-with-a-long-name", "suspect", connections: nil, in: 0),
            ],
            "nodes_asked": 3, "nodes_answered": 2,
        ]
    }()

    private func screen(_ first: String? = nil) -> TopScreen {
        TopScreen(views: Self.views, first: first, interval: "2 s")
    }

    private func text(_ screen: TopScreen, _ columns: Int, _ rows: Int) -> String {
        screen.lines(size: TerminalSize(columns: columns, rows: rows), isColoured: false)
            .joined(separator: "\n") + "\n"
    }

    /// Compares with a file. With CONFAB_WRITE_GOLDEN=1 the test writes the file.
    private func expect(_ text: String, equals name: String) throws {
        let path = Checkout.file("Tests/golden/\(name).txt")
        if ProcessInfo.processInfo.environment["CONFAB_WRITE_GOLDEN"] == "1" {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        }
        let golden = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text == golden, "\(name):\n\(text)")
    }

    @Test("has a table for every view that the command line names")
    func tables() {
        let tables = OperatorVerb.topViewNames.filter { name in
            OperatorVerb.named(name).flatMap { TopScreen.TopView($0) } != nil
        }
        #expect(tables == OperatorVerb.topViewNames)
    }

    @Test("asks the server for the sorted rows that fit, where there can be many")
    func largeTables() throws {
        let connections = try #require(
            OperatorVerb.named("connections").flatMap { TopScreen.TopView($0) })
        var screen = TopScreen(views: [connections], first: nil, interval: "2 s")
        #expect(screen.parameters(rows: 24).map(\.name) == ["limit"])
        #expect(screen.pressed(.sort) == true)
        let sort = try #require(screen.parameters(rows: 24).first { $0.name == "sort" })
        let column = connections.columns[1]
        #expect(sort.value.stringValue == (column.format.isNumber ? "-" : "") + column.key)
        #expect(self.screen().parameters(rows: 24).isEmpty)
    }

    @Test("fits the terminal", arguments: [(80, 24), (120, 30), (200, 50)])
    func golden(columns: Int, rows: Int) throws {
        var screen = self.screen()
        screen.received(Self.nodes, for: "nodes", at: "12:00:05")
        let text = self.text(screen, columns, rows)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(lines.count == rows)
        #expect(lines.allSatisfy { DisplayWidth.of($0) <= columns })
        try self.expect(text, equals: "top-nodes-\(columns)")
    }

    @Test("has as many lines as the terminal has rows, whatever its size")
    func sizes() {
        var screen = self.screen()
        screen.received(Self.nodes, for: "nodes", at: "12:00:05")
        for rows in 1...30 {
            for columns in [1, 20, 79, 80, 300] {
                let lines = screen.lines(
                    size: TerminalSize(columns: columns, rows: rows), isColoured: true)
                #expect(lines.count == rows)
            }
        }
        let short = self.text(screen, 80, 6)
        #expect(short.contains("… 4 lines more"))
    }

    @Test("sorts by the next column at each press, numbers first, and reverses the order")
    func sorting() {
        var screen = self.screen()
        screen.received(Self.nodes, for: "nodes", at: "12:00:05")
        func names() -> [Substring] {
            self.text(screen, 200, 24).split(separator: "\n").dropFirst(3).prefix(3).map {
                $0.prefix(2)
            }
        }
        #expect(screen.pressed(.sort) == false)
        #expect(self.text(screen, 80, 24).contains("sorted by STATE\n"))
        #expect(names() == ["n1", "n2", "n3"])
        for _ in 0..<4 { _ = screen.pressed(.sort) }
        #expect(self.text(screen, 80, 24).contains("sorted by CONNECTIONS, descending\n"))
        #expect(names() == ["n1", "n2", "n3"])
        _ = screen.pressed(.reverse)
        // A row without a value stays last.
        #expect(names() == ["n2", "n1", "n3"])
    }

    @Test("keeps the last data below a problem, and removes the problem with the next answer")
    func problem() throws {
        var screen = self.screen()
        #expect(self.text(screen, 80, 24).contains("waiting for a node"))
        screen.received(Self.nodes, for: "nodes", at: "12:00:05")
        screen.failed("http://127.0.0.1:8090: Connection refused\u{1B}[2J")
        let text = self.text(screen, 80, 24)
        #expect(text.contains("\n! http://127.0.0.1:8090: Connection refused\\u{1b}[2J\n"))
        #expect(text.contains("n2"))
        screen.received(Self.nodes, for: "nodes", at: "12:00:07")
        #expect(!self.text(screen, 80, 24).contains("Connection refused"))
    }

    @Test("changes nothing while it is paused, and asks at once when it continues")
    func pause() {
        var screen = self.screen()
        screen.received(Self.nodes, for: "nodes", at: "12:00:05")
        #expect(screen.pressed(.pause) == false)
        screen.received(["nodes": []], for: "nodes", at: "12:00:09")
        let text = self.text(screen, 80, 24)
        #expect(text.contains("PAUSED 12:00:05") && text.contains("n3-with"))
        #expect(screen.pressed(.pause) == true)
    }

    @Test("lists the keys, and any key closes the list")
    func help() throws {
        var screen = self.screen()
        screen.received(Self.nodes, for: "nodes", at: "12:00:05")
        _ = screen.pressed(.help)
        try self.expect(self.text(screen, 80, 24), equals: "top-keys-80")
        _ = screen.pressed(.other)
        #expect(!screen.isPaused)
        #expect(self.text(screen, 80, 24).contains("n1"))
    }

    @Test("changes the view in both directions, and ignores late answers for another view")
    func views() {
        var screen = self.screen("redis")
        #expect(screen.view.name == "redis")
        #expect(screen.pressed(.nextView) == true)
        #expect(screen.view.name == "nodes")
        screen.received(["redis": [["node": "n1", "mode": "cluster"]]], for: "redis", at: "1")
        #expect(self.text(screen, 80, 24).contains("waiting for a node"))
        _ = screen.pressed(.previousView)
        #expect(self.text(screen, 80, 24).contains("cluster"))
        _ = screen.pressed(.quit)
        #expect(screen.isDone)
    }
}

@Suite("The keys of confab top")
struct TopKeysTests {
    @Test(
        "are letters and arrow keys, also if they arrive byte by byte",
        arguments: [
            ("srp?hq", [.sort, .reverse, .pause, .help, .help, .quit]),
            ("\u{1B}[C\u{1B}[D\t", [.nextView, .previousView, .nextView]),
            ("\u{1B}OC\u{1B}OD", [.nextView, .previousView]),
            ("x\r ", [.other, .other, .other]), ("\u{1B}[3~s", [.other, .sort]),
            ("\u{1B}[1;5Cq", [.nextView, .quit]), ("\u{1B}[Aq", [.other, .quit]),
        ] as [(String, [TopScreen.Key])])
    func keys(text: String, expected: [TopScreen.Key]) {
        var keys = TopKeys()
        #expect(keys.parse(Array(text.utf8)) == expected)
        var slow = TopKeys()
        #expect(text.utf8.flatMap { slow.parse([$0]) } == expected)
    }
}

import Configuration
import Foundation
import JSON
import TerminalKit
import TestKit
import Testing

@testable import OperatorClient

/// The tables and records of all verbs on terminals of some widths, compared with files in
/// `Tests/golden`.
@Suite("The tables of operators")
struct TableGoldenTests {
    /// Typical values of text columns; other columns have a value of their format.
    private static let texts: [String: String] = [
        "node": "chat-eu-west-1a", "owner": "chat-eu-west-1a", "state": "active",
        "address": "10.20.30.40:8080", "version": "0.1.0", "since": "2026-03-01T12:00:00.123Z",
        "timestamp": "2026-03-01T12:00:00.123Z", "updated": "2026-03-01T12:00:00.123Z",
        "until": "2026-03-01T13:00:00.000Z", "mode": "standalone",
        "servers": "redis.internal:6379", "role": "master", "eviction": "noeviction",
        "event": "moves", "operator": "ops", "user": "alice@example.org", "dialect": "rooms",
        "conversation": "5b2f9c1e-6a0d-4c55-9c1b-0f6d1f3a7e21", "kind": "conversations",
        "sender_id": "alice@example.org", "id": "1767268800123-0", "tenant": "default",
        "content": "Hello, a message that is a little longer than most of them are.",
        "detail": "1365 shards moved: 683 from n1 to n4, 682 from n2 to n4", "step": "sequenced",
        "check": "file-descriptors", "result": "warning",
        "finding": "The limit of 1024 file descriptors is below 100064.",
        "remedy": "Raise LimitNOFILE= in the unit file.", "reason": "Spam in three conversations.",
    ]

    private static func value(_ column: OperatorColumn, _ row: Int) -> JSONTree {
        switch column.format {
        case .text, .state: .string(self.texts[column.key] ?? column.key)
        case .numberText: .string("\(1040 + row)")
        case .list: ["a fault of the conversation"]
        case .ranges: ["0-12", "40"]
        case .flag: .bool(row == 1)
        case .number: .integer(row * 137)
        case .bytes: .integer(row * 40_000_000)
        case .seconds: .integer(row * 90_061)
        case .milliseconds: .number("\(row).5")
        case .percent, .deviation: .integer(row * 7)
        }
    }

    @Test(
        "fit their terminals, and are complete where nothing limits them",
        arguments: [80, 120, 200])
    func widths(columns width: Int) throws {
        var text = ""
        var documents: [JSONTree.ObjectMember] = [.init("top", TopScreenTests.nodes)]
        for verb in OperatorVerb.all {
            guard case .table(let key, let columns, let hasTotals, _) = verb.display else {
                continue
            }
            let rows = (1...2).map { row in
                JSONTree.object(columns.map { .init($0.key, Self.value($0, row)) })
            }
            let table = RowTable(columns, rows).table(totalsOf: hasTotals ? rows : nil)
            let shown = table.text(width: width, isColoured: false)
            for line in shown.split(separator: "\n") {
                #expect(DisplayWidth.of(line) <= width, "\(verb.name): \(line)")
            }
            for column in columns where column.importance == .max {
                #expect(shown.contains(column.title), "\(verb.name) without \(column.title)")
            }
            text += "\(verb.name) (\(key))\n\(shown)\n"
            documents.append(
                .init(
                    verb.name, .object([.init("schema_version", 1), .init(key, .array(rows))])))
        }
        try Self.expect(text, equals: "tables-\(width).txt")
        // Tests/Operating/test_tmux.py serves these documents to the program.
        try Self.expect(JSONTree.object(documents).text + "\n", equals: "documents.json")
    }

    @Test("of records fit their terminals, below a line for each value", arguments: [80, 200])
    func records(columns width: Int) throws {
        var text = ""
        for verb in OperatorVerb.all {
            guard case .record(let columns, let sentences, let sections) = verb.display else {
                continue
            }
            let values = columns.filter { $0.key != sentences?.key }
            let document = JSONTree.object(values.map { .init($0.key, Self.value($0, 1)) })
            let record = RowTable(values, [document]).record()
            #expect(record.split(separator: "\n").count == values.count, "\(verb.name)")
            text += "\(verb.name)\n\(record)\n"
            for section in sections {
                let rows = (1...2).map { row in
                    JSONTree.object(section.columns.map { .init($0.key, Self.value($0, row)) })
                }
                let shown = RowTable(section.columns, rows).table().text(
                    width: width, isColoured: false)
                for line in shown.split(separator: "\n") {
                    #expect(DisplayWidth.of(line) <= width, "\(verb.name): \(line)")
                }
                text += "\(section.title)\n\(shown)\n"
            }
        }
        try Self.expect(text, equals: "records-\(width).txt")
    }

    /// Compares with a file. With CONFAB_WRITE_GOLDEN=1 the test writes the file.
    private static func expect(_ text: String, equals name: String) throws {
        let path = Checkout.file("Tests/golden/\(name)")
        if ProcessInfo.processInfo.environment["CONFAB_WRITE_GOLDEN"] == "1" {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
    }
}

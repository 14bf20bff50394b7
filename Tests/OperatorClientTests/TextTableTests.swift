import JSON
import Testing

@testable import Configuration
@testable import OperatorClient

@Suite("A table")
struct TextTableTests {
    private static let columns = [
        TextTable.Column(title: "NODE", isNumber: false, importance: .max),
        TextTable.Column(title: "USERS", isNumber: true, importance: 1),
        TextTable.Column(title: "STATE", isNumber: false, importance: .max),
    ]

    private static func table(_ state: String = "active") -> TextTable {
        TextTable(
            columns: self.columns,
            rows: [
                [.init(text: "n1"), .init(text: "5"), .init(text: state, severity: .good)],
                [
                    .init(text: "n2 with a name"), .init(text: "12345"),
                    .init(text: "gone 14s", severity: .bad),
                ],
            ],
            totals: [.init(text: "total"), .init(text: "12350"), .init(text: "")])
    }

    @Test("has the columns of replies, reactions and pins only where a row has a value")
    func optionalColumns() {
        let plain: JSONTree = ["id": "1", "reply_to": .null, "reactions": [], "is_pinned": false]
        let none = RowTable(OperatorVerb.messageColumns, [plain])
        #expect(none.table().columns.last?.title == "IS DELETED")
        // A program gets all columns.
        #expect(none.csv().contains(",reply_to,reactions,is_pinned\n"))
        let reply: JSONTree = ["id": "2", "reply_to": "1"]
        let replies = RowTable(OperatorVerb.messageColumns, [plain, reply]).table()
        #expect(replies.columns.last?.title == "REPLY TO")
        let full: JSONTree = [
            "id": "3", "reply_to": "1", "reactions": ["👍 2"], "is_pinned": true,
        ]
        let all = RowTable(OperatorVerb.messageColumns, [full]).table()
        #expect(all.columns.map(\.title).suffix(3) == ["REPLY TO", "REACTIONS", "IS PINNED"])
        #expect(all.text(width: nil, isColoured: false).contains("👍 2"))
    }

    @Test(
        "has columns of their content's width, numbers at the right, and no trailing spaces"
    )
    func layout() {
        #expect(
            Self.table().text(width: nil, isColoured: false) == """
                NODE            USERS  STATE
                n1                  5  active
                n2 with a name  12345  gone 14s
                total           12350

                """)
    }

    @Test("leaves out the least important columns on a narrow terminal, with a note")
    func narrow() {
        #expect(
            Self.table().text(width: 28, isColoured: false) == """
                NODE            STATE
                n1              active
                n2 with a name  gone 14s
                total
                Columns left out: USERS;
                --wide shows all.

                """)
    }

    @Test(
        "cuts text only as a last resort, and is never wider than the terminal",
        arguments: [18, 20, 24, 80])
    func cut(width: Int) {
        let text = Self.table("a state with quite a long name").text(
            width: width, isColoured: false)
        for line in text.split(separator: "\n") where !line.hasPrefix("Columns left out") {
            #expect(line.count <= width, "\(line)")
        }
    }

    @Test("has colours only on request, and they do not change the layout")
    func colours() {
        let plain = Self.table().text(width: nil, isColoured: false)
        let coloured = Self.table().text(width: nil, isColoured: true)
        #expect(!plain.contains("\u{1B}"))
        #expect(coloured.contains("\u{1B}[32mactive\u{1B}[0m"))
        #expect(coloured.replacing(/\u{1B}\[[0-9]+m/, with: "") == plain)
    }
}

@Suite("A row table")
struct RowTableTests {
    private static let rows: [JSONTree] = [
        ["node": "n1", "state": "active", "connections": 9, "rss": 5_000_000],
        ["node": "n2", "state": "gone", "unreachable_for": 14],
        ["node": "n10", "state": "active", "connections": 100, "imbalance": 83],
    ]

    private static func nodes(_ table: RowTable) -> [String?] {
        table.rows.map { $0["node"]?.stringValue }
    }

    @Test("is sorted by a column's title or key, numbers numerically, missing values last")
    func order() throws {
        var table = RowTable(OperatorVerb.named("nodes")?.columns ?? [], Self.rows)
        table.sort(by: "connections", isDescending: false)
        #expect(Self.nodes(table) == ["n1", "n10", "n2"])
        table.sort(by: "connections", isDescending: true)
        #expect(Self.nodes(table) == ["n10", "n1", "n2"])
        #expect(RowTable.column("in/s", among: table.columns)?.key == "in_s")
        #expect(RowTable.column("CONNECTIONS", among: table.columns)?.key == "connections")
        #expect(RowTable.column("beauty", among: table.columns) == nil)
        table.limit(to: 1)
        #expect(Self.nodes(table) == ["n10"])
    }

    @Test("has totals of numeric columns, over all rows and not only the visible ones")
    func totals() {
        var table = RowTable(OperatorVerb.named("nodes")?.columns ?? [], Self.rows)
        table.limit(to: 1)
        let totals = table.table(totalsOf: Self.rows).totals ?? []
        let shown = Dictionary(
            uniqueKeysWithValues: zip(table.columns.map(\.title), totals.map(\.text)))
        #expect(shown["NODE"] == "total")
        #expect(shown["CONNECTIONS"] == "109")
        #expect(shown["RSS"] == "4.8 MiB")
        #expect(shown["UPTIME"] == "")
    }

    @Test("shows how long a node has been gone")
    func gone() {
        let cells = RowTable(OperatorVerb.named("nodes")?.columns ?? [], Self.rows).table().rows
        #expect(cells[1].map(\.text).prefix(3) == ["n2", "gone 14s", "-"])
        #expect(cells[2].last?.text == "+83 %")
    }

    @Test("is CSV that spreadsheets do not evaluate as formulas")
    func csv() {
        let columns: [RowTable.Column] = [.init("NAME", "name"), .init("COUNT", "count", .number)]
        let rows: [JSONTree] = [
            ["name": "a,b \"c\"", "count": -5], ["name": "=1+1"],
            ["name": "two\nlines", "count": 1],
        ]
        #expect(
            RowTable(columns, rows).csv()
                == "name,count\n\"a,b \"\"c\"\"\",-5\n'=1+1,\n\"two\nlines\",1\n")
    }
}

@Suite("Formatting")
struct FormattingTests {
    @Test(
        "formats durations briefly",
        arguments: [
            (0, "0s"), (14, "14s"), (200, "3m 20s"), (3600, "1h"), (187_200, "2d 4h"),
            (86_459, "1d"),
        ])
    func times(seconds: Int, text: String) {
        #expect(Formatting.time(seconds) == text)
    }

    @Test(
        "formats sizes with units",
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (40_000_000, "38 MiB"),
            (3.0e12, "2.7 TiB"),
        ] as [(Double, String)])
    func bytes(number: Double, text: String) {
        #expect(Formatting.bytes(number) == text)
    }

    @Test("escapes cursor movements")
    func safety() {
        #expect(Formatting.escaped("a\u{1B}[2Jb\nc\u{202E}d") == "a\\u{1b}[2Jb\\nc\\u{202e}d")
        #expect(Formatting.escaped("Grüße 👩‍👩‍👧") == "Grüße 👩‍👩‍👧")
    }
}

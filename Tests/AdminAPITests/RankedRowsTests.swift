import JSON
import Testing

@testable import AdminAPI

@Suite("The first rows of a long list")
struct RankedRowsTests {
    private static func position(_ value: Int?, _ id: Int) -> RowPosition {
        RowPosition(value.map { .number(Double($0)) } ?? .missing, id: String(1000 + id))
    }

    /// Values with repetitions and gaps, in an order that is not the one asked for.
    private static let values: [Int?] = (0..<500).map { number in
        number % 17 == 0 ? nil : number * 7919 % 101
    }

    /// The ids in the order asked for, by sorting everything.
    private static func expected(isDescending: Bool) -> [Int] {
        self.values.enumerated().sorted { left, right in
            switch (left.element, right.element) {
            case (nil, nil): left.offset < right.offset
            case (nil, _): false
            case (_, nil): true
            case (let one?, let other?):
                one == other ? left.offset < right.offset : (one < other) != isDescending
            }
        }.map(\.offset)
    }

    private static func ids(_ rows: [JSONTree]) -> [Int] { rows.compactMap(\.integerValue) }

    @Test(
        "are those of the sorted list, with missing values last",
        arguments: [1, 3, 100, 499, 500, 501], [false, true])
    func selection(limit: Int, isDescending: Bool) {
        var ranked = RankedRows(
            by: RowOrder(column: "n", isDescending: isDescending), limit: limit)
        for (id, value) in Self.values.enumerated() {
            ranked.offer(Self.position(value, id), .integer(id))
        }
        let page = ranked.page()
        #expect(
            Self.ids(page.rows) == Array(Self.expected(isDescending: isDescending).prefix(limit)))
        #expect(page.hasMore == (limit < 500))
        #expect(ranked.offeredCount == 500)
    }

    @Test("build few of the other rows")
    func building() {
        var ranked = RankedRows(by: RowOrder(column: "n", isDescending: true), limit: 10)
        var builtCount = 0
        for id in 0..<10_000 {
            func row() -> JSONTree {
                builtCount += 1
                return .integer(id)
            }
            ranked.offer(Self.position(-id, id), row())
        }
        #expect(Self.ids(ranked.page().rows) == Array(0..<10))
        #expect(builtCount == 20)
    }

    @Test("continue behind a position until the list is complete", arguments: [false, true])
    func pages(isDescending: Bool) {
        let order = RowOrder(column: "n", isDescending: isDescending)
        var collected: [Int] = []
        var start: RowPosition?
        for _ in 0..<100 {
            var ranked = RankedRows(by: order, limit: 60, after: start)
            for (id, value) in Self.values.enumerated() {
                ranked.offer(Self.position(value, id), .integer(id))
            }
            // About nine rows of two or three digits each.
            let page = ranked.page(byteLimit: 30)
            #expect(page.rows.count < 20)
            collected += Self.ids(page.rows)
            guard page.hasMore, let last = collected.last else { break }
            start = RowPosition(Self.position(Self.values[last], last).tree)
        }
        #expect(collected == Self.expected(isDescending: isDescending))
    }

    @Test("contain at least one row, however small the page is")
    func smallestPage() {
        var ranked = RankedRows(by: RowOrder(column: "n", isDescending: false), limit: 5)
        ranked.offer(Self.position(1, 1), .string(String(repeating: "x", count: 100)))
        ranked.offer(Self.position(2, 2), .string("y"))
        let page = ranked.page(byteLimit: 10)
        #expect(page.rows.count == 1 && page.hasMore)
    }

    @Test("are ordered by number, text and id")
    func values() {
        let ascending = RowOrder(column: "n", isDescending: false)
        func position(_ tree: JSONTree, _ id: String = "a") -> RowPosition {
            RowPosition(RowPosition.Value(tree), id: id)
        }
        #expect(ascending.precedes(position(.number("9")), position(.number("10"))))
        #expect(ascending.precedes(position(.number("10")), position(.string("1"))))
        #expect(ascending.precedes(position(.bool(false)), position(.bool(true))))
        #expect(ascending.precedes(position(.string("é")), position(.null)))
        #expect(ascending.precedes(position(.null, "a"), position(.null, "b")))
        #expect(!ascending.precedes(position(.integer(1)), position(.integer(1))))
    }

    @Test("have an order only by a column that exists")
    func orders() {
        let columns = ["id", "msg_s"]
        #expect(
            RowOrder("-msg_s", among: columns) == RowOrder(column: "msg_s", isDescending: true))
        #expect(RowOrder("id", among: columns)?.text == "id")
        #expect(RowOrder("-msg_s", among: columns)?.text == "-msg_s")
        for text in ["", "-", "MSG/S", "--id", "id "] {
            #expect(RowOrder(text, among: columns) == nil, "\(text)")
        }
    }
}

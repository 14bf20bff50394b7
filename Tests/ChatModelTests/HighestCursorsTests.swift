import ChatModel
import SeededRandom
import Testing

@Suite("The highest cursors")
struct HighestCursorsTests {
    @Test(
        "give the highest cursor of all holders but one",
        arguments: [
            // The cursors of a, b and c, in the order of recording, and the highest of the others.
            ("", [0, 0, 0]),
            ("a5", [0, 5, 5]),
            ("a5 b3", [3, 5, 5]),
            ("a3 b5", [5, 3, 5]),
            ("a5 b5", [5, 5, 5]),
            ("a5 b3 c4", [4, 5, 5]),
            ("a3 b4 c5", [5, 5, 4]),
            ("a4 b5 c3", [5, 4, 5]),
            ("a0 b0 c0", [0, 0, 0]),
        ])
    func others(cursors: String, highest: [SequenceNumber]) {
        var recorded = HighestCursors<Character>()
        for cursor in cursors.split(separator: " ") {
            recorded.record(Int(cursor.dropFirst())!, of: cursor.first!)
        }
        #expect("abc".map { recorded.highest(excluding: $0) } == highest)
        #expect(recorded.highest(excluding: "x") == highest.max())
    }

    @Test(
        "agree with all cursors, for any number of holders", arguments: 1...8 as ClosedRange<UInt64>
    )
    func oracle(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let cursors = (0..<random.number(1...20)).map { _ in random.number(0...30) }
        var recorded = HighestCursors<Int>()
        for (holder, cursor) in cursors.enumerated() { recorded.record(cursor, of: holder) }
        for holder in cursors.indices {
            let others = cursors.indices.filter { $0 != holder }.map { cursors[$0] }
            #expect(recorded.highest(excluding: holder) == others.max() ?? 0)
        }
    }
}

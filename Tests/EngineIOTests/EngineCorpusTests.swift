import Foundation
import SeededRandom
import Testing

@Suite("The Engine.IO fuzzer's rules")
struct EngineCorpusTests {
    @Test("hold for its corpus")
    func replay() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fuzz/corpus/engineio")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let accepted = try files.filter { EngineProperty.check([UInt8](try Data(contentsOf: $0))) }
        #expect(!accepted.isEmpty && accepted.count < files.count)
    }

    /// Events whose texts are mostly such as clients send, so that sessions live long enough to be tried.
    @Test(
        "hold for sessions that are told anything in any order",
        arguments: 0..<2000 as Range<UInt64>)
    func anyEventOrder(_ seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        let texts = [
            "4a", "4a\u{1E}4b", "3", "6", "bAA==", "2probe", "2probe", "5", "1", "x", "",
            "4a\u{1E}1",
            "4\u{1E}4\u{1E}4\u{1E}4\u{1E}4\u{1E}4",
        ]
        var script: [UInt8] = [UInt8(ascii: "s")]
        for _ in 0..<chance.number(1...150) {
            let order = UInt8(chance.next(below: 16))
            // Ticks of up to 300 ms, and the first sockets more often than others.
            let detail = UInt8(
                chance.next(below: order == 15 ? 5 : chance.happens(perMille: 700) ? 2 : 16))
            script.append(detail << 4 | order)
            if [1, 3, 6, 7].contains(order) {
                let pick =
                    chance.happens(perMille: 850)
                    ? chance.next(below: 8) : chance.next(below: texts.count)
                script +=
                    Array((chance.happens(perMille: 300) ? texts[0] : texts[pick]).utf8) + [
                        UInt8(ascii: "\n")
                    ]
            }
        }
        EngineProperty.check(script)
    }

    @Test("hold for bytes as they fall", arguments: 0..<500 as Range<UInt64>)
    func randomBytes(_ seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        let first = chance.pick(Array("pqs".utf8)) ?? 0
        EngineProperty.check(
            [first]
                + (0..<chance.number(0...300)).map { _ in UInt8(truncatingIfNeeded: chance.next()) }
        )
    }
}

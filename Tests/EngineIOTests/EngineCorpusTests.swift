import Foundation
import SeededRandom
import Testing

@Suite("The properties of the Engine.IO fuzzer")
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

    /// Mostly texts of real clients, so that sessions live long enough to reach interesting states.
    @Test(
        "hold for sessions with events in random order",
        arguments: 0..<2000 as Range<UInt64>)
    func anyEventOrder(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let texts = [
            "4a", "4a\u{1E}4b", "3", "6", "bAA==", "2probe", "2probe", "5", "1", "x", "",
            "4a\u{1E}1",
            "4\u{1E}4\u{1E}4\u{1E}4\u{1E}4\u{1E}4",
        ]
        var script: [UInt8] = [UInt8(ascii: "s")]
        for _ in 0..<random.number(1...150) {
            let code = UInt8(random.next(below: 16))
            // Ticks of up to 300 ms; the first sockets are more frequent than the others.
            let detail = UInt8(
                random.next(below: code == 15 ? 5 : random.happens(perMille: 700) ? 2 : 16))
            script.append(detail << 4 | code)
            if [1, 3, 6, 7].contains(code) {
                let pick =
                    random.happens(perMille: 850)
                    ? random.next(below: 8) : random.next(below: texts.count)
                script +=
                    Array((random.happens(perMille: 300) ? texts[0] : texts[pick]).utf8) + [
                        UInt8(ascii: "\n")
                    ]
            }
        }
        EngineProperty.check(script)
    }

    @Test("hold for random bytes", arguments: 0..<500 as Range<UInt64>)
    func randomBytes(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let first = random.pick(Array("pqs".utf8)) ?? 0
        EngineProperty.check(
            [first]
                + (0..<random.number(0...300)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        )
    }
}

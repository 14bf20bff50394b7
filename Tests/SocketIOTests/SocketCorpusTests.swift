import Foundation
import SeededRandom
import Testing

@Suite("The properties of the Socket.IO fuzzer")
struct SocketCorpusTests {
    @Test("hold for its corpus")
    func replay() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fuzz/corpus/socketio")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let accepted = try files.filter { SocketProperty.check([UInt8](try Data(contentsOf: $0))) }
        #expect(!accepted.isEmpty && accepted.count < files.count)
    }

    /// Lines of real clients in random order, some of them with one changed byte.
    @Test(
        "hold for connections with events in random order",
        arguments: 0..<1000 as Range<UInt64>)
    func anyEventOrder(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let lines = [
            "0", #"0{"pid":"p","offset":"o"}"#, #"2["a",{"b":[1,"é"]}]"#, #"2["a",{"b":[1,"é"]}]"#,
            #"217["a"]"#, "317[]", "D", "0", "1",
            "T",
            "0/x,{}", #"51-3["a",{"_placeholder":true,"num":0}]"#, "B", #"2["\ud800"]"#, #"60-1[]"#,
            "4{}",
        ]
        var script: [UInt8] = Array("0\n".utf8)
        for _ in 0..<random.number(1...30) {
            var line = Array(
                (random.pick(random.happens(perMille: 700) ? Array(lines.prefix(8)) : lines) ?? "")
                    .utf8)
            if random.happens(perMille: 50) {
                line[random.next(below: line.count)] = UInt8(truncatingIfNeeded: random.next())
            }
            script += line + Array("\n".utf8)
        }
        SocketProperty.check(script)
    }
}

import Bytes
import SeededRandom
import StoreTestSupport
import Testing

@testable import Gateway

@Suite("A backlog")
struct BacklogTests {
    private static func frame(_ text: String) -> SharedFrame { SharedFrame(Array(text.utf8)) }

    private static func text(_ backlog: Backlog, upTo count: Int = .max) -> String {
        var buffer = ByteBuffer()
        backlog.gather(upTo: count, into: &buffer)
        return buffer.text
    }

    @Test("returns its bytes in order, from where the last write ended")
    func order() {
        var backlog = Backlog()
        backlog.append(Self.frame("Hello"), from: 2)
        backlog.append(Self.frame(", world"))
        #expect(Self.text(backlog) == "llo, world")
        #expect(backlog.totalBytes == 10)
        backlog.remove(4)
        #expect(Self.text(backlog) == " world")
        #expect(backlog.first?.offset == 1)
        backlog.remove(6)
        #expect(backlog.isEmpty)
        #expect(backlog.totalBytes == 0 && backlog.countedBytes == 0)
        #expect(backlog.first == nil)
    }

    @Test("gathers pieces that may end within a frame")
    func pieces() {
        var backlog = Backlog()
        for text in ["abc", "defg", "hi"] { backlog.append(Self.frame(text)) }
        #expect(
            (0...10).map { Self.text(backlog, upTo: $0) }
                == (0...10).map { String("abcdefghi".prefix($0)) })
        backlog.remove(2)
        #expect(Self.text(backlog, upTo: 3) == "cde")
        #expect(backlog.frameCount == 3)
    }

    @Test("does not count requested frames")
    func paced() {
        var backlog = Backlog()
        backlog.append(Self.frame("12345"), isPaced: true)
        backlog.append(Self.frame("678"))
        #expect(backlog.countedBytes == 3 && backlog.totalBytes == 8)
        backlog.remove(6)
        #expect(backlog.countedBytes == 2 && backlog.totalBytes == 2)
    }

    @Test("truncates to the frame that is partly sent")
    func truncation() {
        var backlog = Backlog()
        for text in ["abc", "def"] { backlog.append(Self.frame(text)) }
        backlog.remove(1)
        backlog.truncate(keepsFirst: false)
        backlog.append(Self.frame("!"))
        #expect(Self.text(backlog) == "bc!")
        #expect(backlog.totalBytes == 3 && backlog.countedBytes == 3)
    }

    @Test("truncates to nothing between frames, except a frame that OpenSSL was offered")
    func truncationBetween() {
        for wasOffered in [false, true] {
            var backlog = Backlog()
            for text in ["abc", "def", "ghi"] { backlog.append(Self.frame(text), isPaced: true) }
            backlog.remove(3)
            backlog.truncate(keepsFirst: wasOffered)
            backlog.append(Self.frame("!"))
            #expect(Self.text(backlog) == (wasOffered ? "def!" : "!"))
            #expect(backlog.countedBytes == 1)
            #expect(backlog.totalBytes == (wasOffered ? 4 : 1))
        }
    }

    @Test(
        "equals one long text after any operations", arguments: 0..<10 as Range<UInt64>)
    func oracle(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var backlog = Backlog()
        // Each byte, and whether it counts against the limit.
        var bytes: [(letter: UInt8, counts: Bool)] = []
        for step in 0..<3000 {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<4:
                let text = (0..<Int.random(in: 1..<20, using: &generator)).map { _ in
                    UInt8.random(in: 97...122, using: &generator)
                }
                let offset = bytes.isEmpty ? Int.random(in: 0..<text.count, using: &generator) : 0
                let isPaced = Bool.random(using: &generator)
                backlog.append(SharedFrame(text), isPaced: isPaced, from: offset)
                bytes += text[offset...].map { ($0, !isPaced) }
            case 4..<9:
                let count = Int.random(in: 0...min(bytes.count, 40), using: &generator)
                if count > 0 { backlog.remove(count) }
                bytes.removeFirst(count)
            default:
                let count = Int.random(in: 0...60, using: &generator)
                #expect(
                    Self.text(backlog, upTo: count)
                        == String(decoding: bytes.prefix(count).map(\.letter), as: UTF8.self),
                    "step \(step)")
            }
            #expect(backlog.isEmpty == bytes.isEmpty)
            #expect(backlog.totalBytes == bytes.count)
            #expect(backlog.countedBytes == bytes.count { $0.counts })
        }
    }
}

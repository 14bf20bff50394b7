import Bytes
import Foundation
import RedisClient
import SeededRandom
import Testing

@Suite("Replies")
struct ReplyReaderTests {
    private static let samples: [RedisReplyValue] = [
        .status("OK"), .status(""), .error("ERR no"), .integer(0), .integer(-7), .integer(.max),
        .integer(.min), .null, .text(""),
        .text("hello"), .bytes([0, 13, 10, 255]), .array([]),
        .array([.null, .integer(1), .array([]), .array([.text("a"), .array([.null])])]),
        .array([
            .array([.array([.array([.array([.array([.array([.integer(7)])])])])])]),
            .text("behind"),
        ]),
    ]

    @Test("are the same wherever the network cuts them")
    func everySplit() {
        let wire = Self.samples.flatMap(\.wire)
        for index in 0...wire.count {
            let read = RedisReplyProperty.read([Array(wire[..<index]), Array(wire[index...])])
            #expect(read.replies == Self.samples && !read.isRefused)
        }
        #expect(RedisReplyProperty.read(wire.map { [$0] }).replies == Self.samples)
    }

    @Test("are read as sent, however nested, in pieces of any size", arguments: 0..<20)
    func random(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let answers = (0..<50).map { _ in Self.answer(depth: 6, &generator) }
        let wire = answers.flatMap(\.wire)
        var pieces: [[UInt8]] = []
        var start = 0
        while start < wire.count {
            let end = min(start + generator.number(1...3000), wire.count)
            pieces.append(Array(wire[start..<end]))
            start = end
        }
        let read = RedisReplyProperty.read(pieces, byteLimit: 64 << 20)
        #expect(read.replies == answers && !read.isRefused)
    }

    private static func answer(depth: Int, _ generator: inout SeededGenerator) -> RedisReplyValue {
        switch generator.next(below: depth > 0 ? 8 : 5) {
        case 0: return .null
        case 1: return .integer(Int64(bitPattern: generator.next()))
        case 2: return .status("S\(generator.next())")
        case 3: return .error("ERR \(generator.next())")
        case 4:
            return .bytes(
                (0..<generator.next(below: 2000)).map { _ in
                    UInt8(truncatingIfNeeded: generator.next())
                }
            )
        default:
            return .array(
                (0..<generator.next(below: 6)).map { _ in Self.answer(depth: depth - 1, &generator)
                })
        }
    }

    @Test(
        "that are not RESP2 are rejected",
        arguments: [
            "hello\r\n", ":\r\n", ":1x\r\n", ":9223372036854775808\r\n", "$x\r\n", "$-2\r\n",
            "*-2\r\n", "*2147483648\r\n", "*x\r\n",
            "%1\r\n+a\r\n",
            "_\r\n", "\r\n",
        ])
    func malformed(_ text: String) throws {
        let reader = RedisReplyReader()
        try RedisReplyProperty.feed(Array(text.utf8), to: reader)
        guard
            case .malformed(let reason)? = Self.error({ () throws(RedisReplyError) in
                _ = try reader.next()
            })
        else {
            Issue.record("\(text) was accepted")
            return
        }
        #expect(!reason.isEmpty)
        reader.reset()
        try RedisReplyProperty.feed(Array("+OK\r\n".utf8), to: reader)
        #expect(try reader.next()?.isText("OK") == true)
    }

    private static func error(_ body: () throws(RedisReplyError) -> Void) -> RedisReplyError? {
        do throws(RedisReplyError) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    @Test("that are too large, too deep or endless are rejected before they are stored")
    func bounds() throws {
        func refusal(_ pieces: [String], limit: Int = 10_000) -> RedisReplyError? {
            let reader = RedisReplyReader(byteLimit: limit)
            return Self.error { () throws(RedisReplyError) in
                for piece in pieces {
                    try RedisReplyProperty.feed(Array(piece.utf8), to: reader)
                    while try reader.next() != nil {}
                }
            }
        }
        let kilobyte = String(repeating: "x", count: 1000)
        let tooLarge = RedisReplyError.tooLarge(limitBytes: 10_000)
        #expect(refusal(["$9000\r\n"] + Array(repeating: kilobyte, count: 9) + ["\r\n"]) == nil)
        #expect(refusal(["$1000000000\r\n"] + Array(repeating: kilobyte, count: 10)) == tooLarge)
        // Many small values need more memory here than on the wire.
        #expect(
            refusal(
                ["*2000000000\r\n"]
                    + Array(repeating: String(repeating: ":1\r\n", count: 100), count: 5))
                == tooLarge)
        #expect(
            refusal(["*20\r\n"] + Array(repeating: "$1000\r\n\(kilobyte)\r\n", count: 20))
                == tooLarge)
        // The limit applies to each reply, not to their sum.
        #expect(
            refusal(
                Array(repeating: "$9000\r\n\(String(repeating: kilobyte, count: 9))\r\n", count: 20)
            ) == nil)
        #expect(refusal([String(repeating: "*1\r\n", count: 8) + ":1\r\n"]) == nil)
        guard case .malformed = refusal([String(repeating: "*1\r\n", count: 9) + ":1\r\n"]) else {
            Issue.record("a depth of nine was accepted")
            return
        }
        guard
            case .malformed = refusal(["+"] + Array(repeating: kilobyte, count: 70), limit: 1 << 20)
        else {
            Issue.record("a line without an end was accepted")
            return
        }
    }

    @Test("are read without copies: kinds, numbers, texts, elements by index")
    func walking() throws {
        let reader = RedisReplyReader()
        let wire = RedisReplyValue.array([
            .text("12"), .array([.integer(1), .array([.text("deep")]), .integer(2)]),
            .text("-9223372036854775808"), .status("OK"), .null,
            .text("9223372036854775808"), .text("1a"), .text("-"), .error("ERR"),
        ]).wire
        try RedisReplyProperty.feed(wire, to: reader)
        let reply = try #require(try reader.next())
        #expect(
            reply.kind == .array && reply.count == 9 && reply.integer == nil && reply.bytes.isEmpty)
        #expect(reply.elements.map(\.integer) == [12, nil, .min, nil, nil, nil, nil, nil, nil])
        #expect(reply[1]?[1]?[0]?.string == "deep" && reply[1]?[2]?.integer == 2)
        #expect(
            reply[3]?.isText("OK") == true && reply[3]?.isText("O") == false
                && reply[8]?.isText("ERR") == false)
        #expect(
            reply[4]?.isNull == true && reply[9] == nil && reply[-1] == nil && reply[0]?[0] == nil)
    }

    @Test("in the fuzzer's corpus satisfy the property")
    func corpus() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fuzz/corpus/redis")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let accepted = try files.filter {
            RedisReplyProperty.check([UInt8](try Data(contentsOf: $0)))
        }
        #expect(!accepted.isEmpty && accepted.count < files.count)
    }
}

import HTTPWire
import Testing

@Suite("A WebSocket text message")
struct WebSocketTextTests {
    static let good: [[UInt8]] = [
        Array("κόσμε".utf8), Array("Hello-µ@ßöäüàá-UTF-8!!".utf8), [0x00], [0x7F], [0xC2, 0x80],
        [0xDF, 0xBF], [0xE0, 0xA0, 0x80],
        [0xED, 0x9F, 0xBF], [0xEE, 0x80, 0x80],
        [0xEF, 0xBF, 0xBD], [0xEF, 0xBF, 0xBE], [0xEF, 0xBF, 0xBF], [0xF0, 0x90, 0x80, 0x80],
        [0xF4, 0x8F, 0xBF, 0xBF],
        Array("0123456789é0123456789😀".utf8),
    ]
    static let bad: [[UInt8]] = [
        [0x80], [0xBF], [0xC0, 0xAF], [0xC1, 0xBF], [0xE0, 0x80, 0xAF], [0xE0, 0x9F, 0xBF],
        [0xF0, 0x80, 0x80, 0xAF],
        [0xF0, 0x8F, 0xBF, 0xBF], [0xF8, 0x88, 0x80, 0x80, 0x80],
        [0xFC, 0x84, 0x80, 0x80, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF],
        [0xED, 0xA0, 0x80, 0xED, 0xB0, 0x80],
        [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80],
        [0xFE], [0xFF], [0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98], [0xC3, 0x28], [0xE2, 0x28, 0xA1],
        [0xF0, 0x9F, 0x28, 0x80],
        [0xCE, 0xBA, 0xE1, 0xBD, 0xB9, 0xCF, 0x83, 0xCE],
        Array("κόσμε".utf8) + [0xED, 0xA0, 0x80] + Array("edited".utf8),
        Array("01234567".utf8) + [0xFF] + Array("01234567".utf8),
    ]

    @Test(
        "is accepted if it is UTF-8, in one frame, in any two frames and byte by byte",
        arguments: good)
    func accepts(_ text: [UInt8]) {
        let expected: Result<[ReceivedInput], WebSocketError> = .success([
            .text(String(decoding: text, as: UTF8.self))
        ])
        #expect(readFrames(frame(.text, text)) == expected)
        #expect(readFrames(frame(.text, text, mask: nil), role: .client) == expected)
        for split in 0...text.count {
            #expect(
                readFrames(
                    frame(.text, Array(text[..<split]), isFinal: false)
                        + frame(.continuation, Array(text[split...]))) == expected)
        }
        let bytewise = text.enumerated().flatMap {
            frame($0 == 0 ? .text : .continuation, [$1], isFinal: $0 == text.count - 1)
        }
        #expect(readFrames(bytewise) == expected)
    }

    @Test("is rejected with 1007 if it is not UTF-8", arguments: bad)
    func rejects(_ text: [UInt8]) {
        #expect(readFrames(frame(.text, text)) == .failure(.badText))
        #expect(readFrames(frame(.text, text, mask: nil), role: .client) == .failure(.badText))
        for split in 0...text.count {
            #expect(
                readFrames(
                    frame(.text, Array(text[..<split]), isFinal: false)
                        + frame(.continuation, Array(text[split...])))
                    == .failure(.badText))
        }
        #expect(WebSocketError.badText.closeCode == .invalidPayload)
        #expect(readFrames(frame(.binary, text)) == .success([.binary(text)]))
    }

    @Test(
        "is rejected at the first invalid fragment",
        arguments: [
            [0xED, 0xA0], [0xF4, 0x90], [0xE0, 0x80], [0xF0, 0x80], [0xC0], [0x80], [0xC3, 0x28],
        ] as [[UInt8]])
    func rejectsEarly(_ text: [UInt8]) {
        #expect(readFrames(frame(.text, text, isFinal: false)) == .failure(.badText))
    }
}

import Bytes
import HTTPWire
import SeededRandom
import Testing

@Suite("permessage-deflate")
struct PermessageDeflateTests {
    static func deflated(_ message: [UInt8]) -> [UInt8]? {
        let deflater = Deflater()
        var buffer = ByteBuffer()
        return message.withUnsafeBytes { deflater.deflate($0, into: &buffer) } ? buffer.bytes : nil
    }

    static func inflated(_ message: [UInt8], byteLimit: Int = 1 << 20) -> Result<
        [UInt8], InflateError
    > {
        let inflater = Inflater()
        return Result { () throws(InflateError) in
            try message.span.bytes.withUnsafeBytes { bytes throws(InflateError) in
                try inflater.inflate(bytes, byteLimit: byteLimit)
            }
            return Array(inflater.output)
        }
    }

    /// A compressible text of at least this size.
    static func prose(_ byteCount: Int, seed: UInt64 = 1) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        let words = [
            "chat", "message", "hello", "naïve", "room", "conversation", "{\"content\":",
            "\"local_id\"", "😀",
        ]
        var text: [UInt8] = []
        while text.count < byteCount {
            text.append(contentsOf: words[random.next(below: words.count)].utf8)
        }
        return text
    }

    @Test("reads the examples of RFC 7692 section 7.2.3")
    func examples() {
        let hello = Array("Hello".utf8)
        #expect(Self.inflated([0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]) == .success(hello))
        #expect(
            Self.inflated([0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00])
                == .success(hello))
        #expect(Self.inflated([0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00]) == .success(hello))
        #expect(
            Self.inflated([
                0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00,
            ]) == .success(hello))
        #expect(Self.inflated([0x00]) == .success([]))
        #expect(Self.inflated([]) == .success([]))
        #expect(
            readFrames(
                [0xC1, 0x07, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], role: .client,
                acceptsCompression: true)
                == .success([.text("Hello")]))
        #expect(
            readFrames(
                [0x41, 0x03, 0xF2, 0x48, 0xCD, 0x80, 0x04, 0xC9, 0xC9, 0x07, 0x00], role: .client,
                acceptsCompression: true)
                == .success([.text("Hello")]))
    }

    @Test(
        "decompresses what was compressed, with the same state for all messages",
        arguments: [256, 300, 1000, 5000, 65_536, 1_000_000])
    func roundTrip(_ byteCount: Int) throws {
        let deflater = Deflater()
        let inflater = Inflater()
        for seed in 1...3 {
            let message = Self.prose(byteCount, seed: UInt64(seed))
            var buffer = ByteBuffer([9])
            #expect(message.withUnsafeBytes { deflater.deflate($0, into: &buffer) })
            #expect(buffer.bytes[0] == 9 && buffer.count < message.count)
            try buffer.bytes.dropFirst().withUnsafeBytes {
                try inflater.inflate($0, byteLimit: 1 << 21)
            }
            #expect(Array(inflater.output) == message)
        }
    }

    @Test("does not compress messages that are short or do not shrink")
    func incompressible() {
        var random = SeededGenerator(seed: 3)
        #expect(Self.deflated(Self.prose(200)) == nil)
        #expect(Self.deflated([UInt8](repeating: 65, count: 255)) == nil)
        #expect(Self.deflated([UInt8](repeating: 65, count: 256)) != nil)
        #expect(
            Self.deflated((0..<2000).map { _ in UInt8(truncatingIfNeeded: random.next()) }) == nil)
    }

    @Test("stops at the limit, regardless of the decompressed size")
    func inflatedLimit() throws {
        let bomb = try #require(Self.deflated([UInt8](repeating: 65, count: 16 << 20)))
        #expect(bomb.count < 1 << 20)
        #expect(Self.inflated(bomb) == .failure(.tooBig))
        #expect(
            readFrames(frame(.text, bomb, isCompressed: true), acceptsCompression: true)
                == .failure(.messageTooBig(limit: 1 << 20)))
        let exact = try #require(Self.deflated([UInt8](repeating: 65, count: 100_000)))
        #expect(
            Self.inflated(exact, byteLimit: 100_000)
                == .success([UInt8](repeating: 65, count: 100_000)))
        #expect(Self.inflated(exact, byteLimit: 99_999) == .failure(.tooBig))
    }

    @Test("rejects truncated and invalid data, and stays usable")
    func malformed() throws {
        let message = Self.prose(1000)
        let whole = try #require(Self.deflated(message))
        #expect(Self.inflated([0xFF, 0xFF, 0xFF]) == .failure(.malformed))
        #expect(Self.inflated([0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48]) == .failure(.malformed))
        #expect(
            readFrames(frame(.text, [0xFF, 0xFF], isCompressed: true), acceptsCompression: true)
                == .failure(.badCompression))
        #expect(WebSocketError.badCompression.closeCode == .invalidPayload)

        let inflater = Inflater()
        #expect(throws: InflateError.malformed) {
            try [0xFF, 0xFF].withUnsafeBytes { try inflater.inflate($0, byteLimit: 10) }
        }
        #expect(inflater.output.isEmpty)
        try whole.withUnsafeBytes { try inflater.inflate($0, byteLimit: 1 << 20) }
        #expect(Array(inflater.output) == message)
    }

    @Test("checks that a decompressed text is UTF-8")
    func badText() throws {
        let bad = try #require(Self.deflated([UInt8](repeating: 0xFF, count: 300)))
        #expect(
            readFrames(frame(.text, bad, isCompressed: true), acceptsCompression: true)
                == .failure(.badText))
        #expect(
            readFrames(frame(.binary, bad, isCompressed: true), acceptsCompression: true)
                == .success([.binary([UInt8](repeating: 0xFF, count: 300))]))
    }

    @Test("must be negotiated, and marks only the first frame of a message")
    func reservedBit() throws {
        let message = Self.prose(600)
        let whole = try #require(Self.deflated(message))
        let (head, tail) = (Array(whole.prefix(100)), Array(whole.dropFirst(100)))
        let text: Result<[ReceivedInput], WebSocketError> = .success([
            .text(String(decoding: message, as: UTF8.self))
        ])
        #expect(readFrames(frame(.text, whole, isCompressed: true)) == .failure(.reservedBits))
        #expect(
            readFrames(frame(.text, whole, isCompressed: true), acceptsCompression: true) == text)
        #expect(
            readFrames(
                frame(.text, head, isFinal: false, isCompressed: true) + frame(.continuation, tail),
                acceptsCompression: true) == text)
        #expect(
            readFrames(
                frame(.text, head, isFinal: false, isCompressed: true)
                    + frame(.continuation, tail, isCompressed: true),
                acceptsCompression: true)
                == .failure(.reservedBits))
        #expect(
            readFrames(
                frame(.ping, "", isFinal: true) + frame(.text, message), acceptsCompression: true)
                != .failure(.reservedBits))
        #expect(
            readFrames(frame(.ping, [], isCompressed: true), acceptsCompression: true)
                == .failure(.reservedBits))
    }

    @Test("survives random bytes", arguments: [1, 2] as [UInt64])
    func randomBytes(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let whole = try #require(Self.deflated(Self.prose(2000)))
        let inflater = Inflater()
        for _ in 0..<2000 {
            var bytes = whole
            for _ in 0...random.next(below: 3) {
                bytes[random.next(below: bytes.count)] = UInt8(truncatingIfNeeded: random.next())
            }
            bytes.removeLast(random.next(below: bytes.count))
            try? bytes.withUnsafeBytes { try inflater.inflate($0, byteLimit: 4000) }
            #expect(inflater.output.count <= 4000)
        }
    }
}

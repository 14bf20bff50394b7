import Bytes
import HTTPWire
import SeededRandom
import Testing

@Suite("A WebSocket reader")
struct WebSocketReaderTests {
    @Test("reads the examples of RFC 6455 section 5.7")
    func examples() {
        #expect(
            readFrames([0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])
                == .success([.text("Hello")]))
        #expect(
            readFrames([0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F], role: .client)
                == .success([.text("Hello")]))
        #expect(
            readFrames([0x01, 0x03, 0x48, 0x65, 0x6C, 0x80, 0x02, 0x6C, 0x6F], role: .client)
                == .success([.text("Hello")]))
        #expect(
            readFrames([0x89, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F], role: .client)
                == .success([.ping(Array("Hello".utf8))]))
        #expect(
            readFrames([0x8A, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])
                == .success([.pong(Array("Hello".utf8))]))
    }

    @Test(
        "reads payloads of every header size",
        arguments: [0, 1, 7, 8, 9, 125, 126, 127, 128, 65_535, 65_536, 1 << 20])
    func sizes(_ count: Int) {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let text = String(repeating: "x", count: count)
        #expect(readFrames(frame(.binary, payload)) == .success([.binary(payload)]))
        #expect(
            readFrames(frame(.binary, payload, mask: nil), role: .client)
                == .success([.binary(payload)]))
        #expect(readFrames(frame(.text, text)) == .success([.text(text)]))
    }

    static let conversation: [UInt8] =
        frame(.text, "Hello") + frame(.ping, "p") + frame(.text, "κόσ", isFinal: false)
        + frame(.ping, "")
        + frame(.continuation, "", isFinal: false)
        + frame(.pong, "q") + frame(.continuation, "με")
        + frame(.binary, [UInt8](repeating: 0xFF, count: 200))
        + frame(.binary, [1, 2], isFinal: false) + frame(.continuation, [3]) + frame(.text, "")
        + frame(.close, [0x03, 0xE8] + Array("bye €".utf8))
    static let expected: [ReceivedInput] = [
        .text("Hello"), .ping(Array("p".utf8)), .ping([]), .pong(Array("q".utf8)), .text("κόσμε"),
        .binary([UInt8](repeating: 0xFF, count: 200)),
        .binary([1, 2, 3]), .text(""), .close(1000, "bye €"),
    ]

    @Test("reads the same for every split of the bytes")
    func everySplit() throws {
        for split in 0...Self.conversation.count {
            var reader = WebSocketTestReader()
            try reader.receive(Array(Self.conversation[..<split]))
            try reader.receive(Array(Self.conversation[split...]))
            #expect(reader.received == Self.expected)
            #expect(reader.unread.isEmpty)
        }
        var reader = WebSocketTestReader()
        for byte in Self.conversation { try reader.receive([byte]) }
        #expect(reader.received == Self.expected)
    }

    @Test("reports how many bytes it needs")
    func neededByteCount() throws {
        for bytes in [
            frame(.text, "Hello"), frame(.binary, [UInt8](repeating: 1, count: 300)),
            frame(.binary, [UInt8](repeating: 1, count: 70_000)),
        ] {
            var reader = WebSocketTestReader()
            var given = 0
            while reader.received.isEmpty {
                let wanted = reader.reader.neededByteCount
                #expect(wanted > given && wanted <= bytes.count)
                // One byte less than needed changes nothing.
                try reader.receive(Array(bytes[given..<wanted - 1]))
                #expect(reader.received.isEmpty && reader.reader.neededByteCount == wanted)
                try reader.receive([bytes[wanted - 1]])
                given = wanted
            }
            #expect(given == bytes.count)
        }
    }

    @Test("leaves a frame masked until it is complete")
    func unmasksOnce() throws {
        let bytes = frame(.text, "a text of some length")
        var reader = WebSocketTestReader()
        try reader.receive(Array(bytes.dropLast()))
        #expect(reader.unread == Array(bytes.dropLast()))
    }

    static let violations: [([UInt8], WebSocketError)] =
        [
            ([0xC1, 0x80], .reservedBits), ([0xA1, 0x80], .reservedBits),
            ([0x91, 0x80], .reservedBits), ([0xF1, 0x80], .reservedBits),
            ([0xC9, 0x80], .reservedBits),
            ([0x81, 0x05], .unmaskedClientFrame), ([0x88, 0x00], .unmaskedClientFrame),
            ([0x09, 0x80], .fragmentedControlFrame), ([0x08, 0x80], .fragmentedControlFrame),
            ([0x0A, 0x80], .fragmentedControlFrame),
            ([0x89, 0xFE], .controlFrameTooLong), ([0x88, 0xFE], .controlFrameTooLong),
            ([0x8A, 0xFF], .controlFrameTooLong),
            ([0x81, 0xFE, 0x00, 0x7D], .badLength), ([0x81, 0xFE, 0x00, 0x00], .badLength),
            ([0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], .badLength),
            ([0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], .badLength),
            ([0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], .badLength),
            (frame(.continuation, "x"), .unexpectedContinuation),
            (frame(.continuation, "x", isFinal: false), .unexpectedContinuation),
            (frame(.text, "a", isFinal: false) + frame(.text, "b"), .interleavedMessage),
            (
                frame(.text, "a", isFinal: false) + frame(.binary, "b", isFinal: false),
                .interleavedMessage
            ),
            (
                frame(.text, "a", isFinal: false) + frame(.continuation, "b")
                    + frame(.continuation, "c"), .unexpectedContinuation
            ),
            (frame(.close, [0x03]), .badClosePayload),
            (frame(.close, [0x03, 0xE8, 0xFF]), .badCloseReason),
            (frame(.close, [0x03, 0xE8, 0xE2, 0x82]), .badCloseReason),
        ] + [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map { ([0x80 | $0, 0x80], .unknownOpcode($0)) }
        + [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map {
            (frame(.close, [UInt8($0 >> 8), UInt8($0 & 0xFF)]), .badCloseCode(UInt16($0)))
        }

    @Test("rejects protocol violations as early as possible", arguments: violations)
    func rejects(_ bytes: [UInt8], _ error: WebSocketError) {
        #expect(readFrames(bytes) == .failure(error))
        #expect(error.closeCode == (error == .badCloseReason ? .invalidPayload : .protocolError))
        #expect(error.description.utf8.count <= 123)
        var reader = WebSocketTestReader()
        #expect(reader.error(receiving: bytes.map { [$0] }) == error)
    }

    @Test("rejects a masked frame from a server")
    func maskedServerFrame() {
        #expect(readFrames(frame(.text, "x"), role: .client) == .failure(.maskedServerFrame))
    }

    @Test(
        "accepts the close codes that may be sent",
        arguments: [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
            4000, 4999,
        ])
    func closeCodes(_ code: Int) {
        let payload = [UInt8(code >> 8), UInt8(code & 0xFF)]
        #expect(readFrames(frame(.close, payload)) == .success([.close(UInt16(code), "")]))
        let reason = String(repeating: "r", count: 123)
        #expect(
            readFrames(frame(.close, payload + Array(reason.utf8)))
                == .success([.close(UInt16(code), reason)]))
    }

    @Test("accepts a close frame without a code, and reads nothing after a close frame")
    func close() {
        #expect(readFrames(frame(.close, "")) == .success([.close(nil, "")]))
        #expect(
            readFrames(frame(.close, "") + frame(.text, "more") + [0xFF, 0xFF])
                == .success([.close(nil, "")]))
        #expect(
            readFrames(frame(.text, "open", isFinal: false) + frame(.close, ""))
                == .success([.close(nil, "")]))
    }

    @Test("rejects frames and messages beyond their limits when the header arrives")
    func limits() {
        let limits = WebSocketLimits(frameBytes: 300, messageBytes: 500)
        #expect(throws: Never.self) {
            try readFrames(frame(.binary, [UInt8](repeating: 0, count: 300)), limits: limits).get()
        }
        #expect(
            readFrames([0x82, 0xFE, 0x01, 0x2D], limits: limits)
                == .failure(.frameTooBig(limit: 300)))
        #expect(
            readFrames([0x82, 0xFF, 0, 0, 0, 0, 0x40, 0, 0, 0])
                == .failure(.frameTooBig(limit: 1 << 20)))

        let first = frame(.binary, [UInt8](repeating: 0, count: 300), isFinal: false)
        #expect(throws: Never.self) {
            try readFrames(
                first + frame(.continuation, [UInt8](repeating: 0, count: 200)), limits: limits
            ).get()
        }
        let second = frame(.continuation, [UInt8](repeating: 0, count: 201))
        #expect(
            readFrames(first + second.prefix(8), limits: limits)
                == .failure(.messageTooBig(limit: 500)))
        // Control frames between fragments do not count.
        let ping = frame(.ping, [UInt8](repeating: 0, count: 125))
        #expect(throws: Never.self) {
            try readFrames(
                first + ping + frame(.continuation, [UInt8](repeating: 0, count: 200)),
                limits: limits
            ).get()
        }
        #expect(
            WebSocketError.frameTooBig(limit: 1).closeCode == .messageTooBig
                && WebSocketError.messageTooBig(limit: 1).closeCode == .messageTooBig)
    }

    @Test("returns each fragment, for the client's rate")
    func fragments() throws {
        var bytes =
            frame(.text, "a", isFinal: false) + frame(.continuation, "", isFinal: false)
            + frame(.ping, "") + frame(.continuation, "b")
        var reader = WebSocketReader(role: .server)
        var (offset, inputs): (Int, [WebSocketInput]) = (0, [])
        try bytes.withUnsafeMutableBytes {
            while let input = try reader.next(in: $0, from: &offset, limits: WebSocketLimits()) {
                inputs.append(input)
            }
        }
        #expect(inputs.count == 4 && inputs[0] == .fragment && inputs[1] == .fragment)
        #expect(inputs[3] == .assembledMessage(.text, Array("ab".utf8)))
    }

    @Test("drops everything but the answer after this side has sent a close frame")
    func awaitsClose() throws {
        var bytes =
            frame(.text, [0xFF]) + frame(.continuation, "a") + frame(.ping, "a")
            + frame(.text, [0xFF], isFinal: false) + frame(.text, "a")
            + frame(.close, [0x03, 0xE8])
        var reader = WebSocketReader(role: .server)
        var offset = 0
        let input = try bytes.withUnsafeMutableBytes {
            try reader.next(in: $0, from: &offset, limits: WebSocketLimits(), awaitsClose: true)
        }
        guard case .close(let code, _) = input else {
            Issue.record("\(String(describing: input))")
            return
        }
        #expect(code?.rawValue == 1000 && offset == bytes.count)
    }

    @Test("takes at most 48 bytes per idle connection")
    func size() {
        #expect(MemoryLayout<WebSocketReader>.size <= 48)
    }

    @Test(
        "survives random bytes, and reads the same at once and byte by byte",
        arguments: [1, 2, 3] as [UInt64])
    func randomBytes(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            var bytes = Self.conversation
            for _ in 0...random.next(below: 4) {
                bytes[random.next(below: bytes.count)] = UInt8(truncatingIfNeeded: random.next())
            }
            var whole = WebSocketTestReader()
            let wholeError = whole.error(receiving: [bytes])
            var byteWise = WebSocketTestReader()
            let byteWiseError = byteWise.error(receiving: bytes.map { [$0] })
            #expect(wholeError == byteWiseError)
            #expect(whole.received == byteWise.received)
        }
    }
}

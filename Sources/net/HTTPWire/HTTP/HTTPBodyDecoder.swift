public import Bytes

/// Extracts the body of a message from the bytes of a connection (RFC 9112 sections 6 and 7).
///
/// Chunk extensions and trailers are validated, bounded and dropped.
public struct HTTPBodyDecoder: Sendable {
    private enum State: Sendable, Equatable {
        case bytes(remaining: Int)
        case untilClose
        case chunkSize(sum: Int, digitCount: Int)
        case chunkExtension(size: Int)
        case chunkLineFeed(size: Int)
        case chunk(remaining: Int)
        case chunkEnd
        case chunkEndLineFeed
        case trailer
        case trailerName
        case trailerValue
        case trailerLineFeed
        case lastLineFeed
        case done
    }

    private var state: State
    private let byteLimit: Int
    private var decodedByteCount = 0
    /// The number of bytes in chunk extensions and trailers.
    private var extraByteCount = 0

    /// The maximum for all chunk extensions and trailers of a message together.
    private static let extraByteLimit = 4096
    /// A sixteenth digit would overflow.
    private static let sizeDigitLimit = 15

    /// - Parameter byteLimit: a longer body is rejected with 413, at once if the head already
    ///   states the length.
    public init(_ length: HTTPBodyLength, byteLimit: Int) throws(HTTPError) {
        self.byteLimit = byteLimit
        switch length {
        case .bytes(let count):
            guard count <= byteLimit else { throw .contentTooLarge(limit: byteLimit) }
            self.state = count == 0 ? .done : .bytes(remaining: count)
        case .chunked:
            self.state = .chunkSize(sum: 0, digitCount: 0)
        case .untilClose:
            self.state = .untilClose
        }
    }

    /// Whether the whole body was decoded. Always false for a body that lasts until the connection
    /// ends.
    public var isComplete: Bool { self.state == .done }

    /// Appends the part of the body that `bytes` contains.
    ///
    /// - Returns: the number of bytes consumed. Once the body is complete, the remaining bytes
    ///   belong to the next message.
    public mutating func decode(_ bytes: RawSpan, into body: inout ByteBuffer) throws(HTTPError)
        -> Int
    {
        var offset = 0
        while offset < bytes.byteCount {
            switch self.state {
            case .done:
                return offset
            case .bytes(let remaining):
                let count = try self.consume(bytes, &offset, atMost: remaining, into: &body)
                self.state = count == remaining ? .done : .bytes(remaining: remaining - count)
            case .untilClose:
                _ = try self.consume(bytes, &offset, atMost: .max, into: &body)
            case .chunk(let remaining):
                let count = try self.consume(bytes, &offset, atMost: remaining, into: &body)
                self.state = count == remaining ? .chunkEnd : .chunk(remaining: remaining - count)
            default:
                try self.step(bytes[byteAt: offset])
                offset += 1
            }
        }
        return offset
    }

    private mutating func consume(
        _ bytes: RawSpan, _ offset: inout Int, atMost limit: Int, into body: inout ByteBuffer
    ) throws(HTTPError) -> Int {
        let count = min(limit, bytes.byteCount - offset)
        guard count <= self.byteLimit - self.decodedByteCount else {
            throw .contentTooLarge(limit: self.byteLimit)
        }
        body.append(contentsOf: bytes.extracting(offset..<offset + count))
        self.decodedByteCount += count
        offset += count
        return count
    }

    /// Processes one byte of the chunk framing.
    private mutating func step(_ byte: UInt8) throws(HTTPError) {
        switch self.state {
        case .chunkSize(let sum, let digitCount):
            try self.parseChunkSize(byte, sum: sum, digitCount: digitCount)
        case .chunkExtension(let size):
            if byte == 0x0D {
                self.state = .chunkLineFeed(size: size)
            } else {
                try self.checkExtra(byte)
            }
        case .chunkLineFeed(let size):
            try Self.check(byte, isLineFeedAfter: "A chunk's size")
            self.state = size == 0 ? .trailer : .chunk(remaining: size)
        case .chunkEnd:
            guard byte == 0x0D else { throw .badRequest("A chunk is longer than its size says.") }
            self.state = .chunkEndLineFeed
        case .chunkEndLineFeed:
            try Self.check(byte, isLineFeedAfter: "A chunk")
            self.state = .chunkSize(sum: 0, digitCount: 0)
        case .trailer:
            if byte == 0x0D {
                self.state = .lastLineFeed
            } else {
                guard ByteSet.token.contains(byte) else {
                    throw .badRequest("A trailer field's name is malformed.")
                }
                try self.checkExtra(byte)
                self.state = .trailerName
            }
        case .trailerName:
            guard byte == UInt8(ascii: ":") || ByteSet.token.contains(byte) else {
                throw .badRequest("A trailer field's name is malformed.")
            }
            try self.checkExtra(byte)
            if byte == UInt8(ascii: ":") { self.state = .trailerValue }
        case .trailerValue:
            if byte == 0x0D {
                self.state = .trailerLineFeed
            } else {
                try self.checkExtra(byte)
            }
        case .trailerLineFeed:
            try Self.check(byte, isLineFeedAfter: "A trailer field")
            self.state = .trailer
        case .lastLineFeed:
            try Self.check(byte, isLineFeedAfter: "The last chunk")
            self.state = .done
        case .bytes, .untilClose, .chunk, .done:
            preconditionFailure(
                "The body's bytes were passed to the chunk framing: \(self.state).")
        }
    }

    private mutating func parseChunkSize(_ byte: UInt8, sum: Int, digitCount: Int)
        throws(HTTPError)
    {
        if let digit = Hex.value(byte) {
            guard digitCount < Self.sizeDigitLimit else {
                throw .badRequest("A chunk's size is too long.")
            }
            self.state = .chunkSize(sum: sum << 4 | Int(digit), digitCount: digitCount + 1)
            return
        }
        guard digitCount > 0 else { throw .badRequest("A chunk's size is malformed.") }
        guard sum <= self.byteLimit - self.decodedByteCount else {
            throw .contentTooLarge(limit: self.byteLimit)
        }
        switch byte {
        case 0x0D: self.state = .chunkLineFeed(size: sum)
        case UInt8(ascii: ";"): self.state = .chunkExtension(size: sum)
        default: throw .badRequest("A chunk's size is malformed.")
        }
    }

    private mutating func checkExtra(_ byte: UInt8) throws(HTTPError) {
        guard byte >= 0x20 && byte != 0x7F || byte == 0x09 else {
            throw .badRequest("A chunk's extension or a trailer field has a control character.")
        }
        self.extraByteCount += 1
        guard self.extraByteCount <= Self.extraByteLimit else {
            throw .badRequest(
                "The body's chunk extensions and trailer fields "
                    + "have more than \(Self.extraByteLimit) bytes."
            )
        }
    }

    private static func check(_ byte: UInt8, isLineFeedAfter part: String) throws(HTTPError) {
        guard byte == 0x0A else { throw .badRequest("\(part) does not end with CR and LF.") }
    }
}

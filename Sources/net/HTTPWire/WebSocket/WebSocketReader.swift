/// A complete message or control frame from the peer. Ranges are positions in the buffer that was
/// read, valid until the buffer changes.
public enum WebSocketInput: Sendable, Hashable {
    /// A message in one frame, unmasked in place.
    case message(WebSocketMessageKind, Range<Int>)
    /// A fragment of a message of which more follow. The reader retains its payload.
    case fragment
    /// A message that was assembled from several fragments.
    case assembledMessage(WebSocketMessageKind, [UInt8])
    /// A message that was compressed. The inflater's `output` contains it until the inflater is
    /// used again.
    case inflatedMessage(WebSocketMessageKind)
    /// Answer it with a pong that has the same payload.
    case ping(Range<Int>)
    case pong(Range<Int>)
    /// Answer it with a close frame that has the same code, unless one was already sent. Later
    /// bytes are ignored.
    case close(WebSocketCloseCode?, reason: Range<Int>)
}

/// The type of a message: UTF-8 text or bytes.
public enum WebSocketMessageKind: Sendable, Hashable {
    case text, binary
}

/// Limits for a peer. If it exceeds one, the connection is closed with 1009.
public struct WebSocketLimits: Sendable, Hashable {
    /// The payload of a frame.
    public var frameBytes: Int
    /// A complete message with all its fragments, both compressed and decompressed.
    public var messageBytes: Int

    public init(frameBytes: Int = 1 << 20, messageBytes: Int = 1 << 20) {
        self.frameBytes = frameBytes
        self.messageBytes = messageBytes
    }
}

/// Parses the frames of one connection (RFC 6455 sections 5 and 6, RFC 7692).
///
/// It stores no unread bytes: the buffer into which a socket is read belongs to the whole loop, and
/// frames are unmasked in place. Only the fragments of an unfinished message are stored here, so an
/// idle connection costs no more than this struct.
public struct WebSocketReader: Sendable {
    /// The side that reads. A server requires masked frames, a client forbids them.
    public enum EndpointRole: UInt8, Sendable, Hashable {
        case server, client
    }

    /// The number of bytes, from the first unread one, that the next step needs. Valid after `next`
    /// returned nil.
    public private(set) var neededByteCount = 2

    private var fragments: [UInt8] = []
    private let role: EndpointRole
    /// Whether permessage-deflate was negotiated.
    public let acceptsCompression: Bool
    /// The type of the unfinished message.
    private var fragmentedKind: WebSocketMessageKind?
    private var isFragmentedCompressed = false
    private var fragmentedUTF8 = UTF8Validator()
    private var isClosed = false

    /// Whether the peer has sent fragments of a message that is not complete.
    public var hasFragments: Bool { self.fragmentedKind != nil }

    /// The bytes of those fragments.
    public var fragmentByteCount: Int { self.fragments.count }

    /// - Parameter acceptsCompression: whether permessage-deflate was negotiated in the handshake.
    public init(role: EndpointRole, acceptsCompression: Bool = false) {
        self.role = role
        self.acceptsCompression = acceptsCompression
    }

    /// Returns the next message or control frame in `buffer` from `offset` on, and moves `offset`
    /// after it.
    ///
    /// Returns nil if no complete frame is there: keep the bytes from `offset` on, and call again
    /// when more have arrived. A violation of the protocol or of a limit throws as soon as the
    /// header shows it. After an error, and after `close`, nothing more is read.
    ///
    /// - Parameters:
    ///   - inflater: the loop's inflater, required if compression was negotiated.
    ///   - awaitsClose: this side has sent a close frame. The payloads of all other frames are
    ///     dropped unread.
    public mutating func next(
        in buffer: UnsafeMutableRawBufferPointer, from offset: inout Int, limits: WebSocketLimits,
        inflater: Inflater? = nil, awaitsClose: Bool = false
    ) throws(WebSocketError) -> WebSocketInput? {
        while true {
            if self.isClosed {
                offset = buffer.count
                return nil
            }
            let unread = UnsafeMutableRawBufferPointer(rebasing: buffer[offset...])
            let header: WebSocketFrameHeader
            switch try WebSocketFrameHeader.parse(
                UnsafeRawBufferPointer(unread), as: self.role,
                acceptsCompression: self.acceptsCompression, frameByteLimit: limits.frameBytes)
            {
            case .incomplete(let byteCount):
                self.neededByteCount = byteCount
                return nil
            case .complete(let complete):
                header = complete
            }
            let isDropped = awaitsClose && header.opcode != .close
            if !isDropped { try self.check(header, limits) }
            let frameByteCount = header.byteCount + header.payloadByteCount
            guard unread.count >= frameByteCount else {
                self.neededByteCount = frameByteCount
                return nil
            }

            if isDropped {
                self.fragments = []
                offset += frameByteCount
                continue
            }
            let payload = UnsafeMutableRawBufferPointer(
                rebasing: unread[header.byteCount..<frameByteCount])
            let range = offset + header.byteCount..<offset + frameByteCount
            let isASCII = header.mask != 0 && WebSocketMask.apply(header.mask, to: payload)
            offset += frameByteCount
            switch header.opcode {
            case .text where header.isFinal && !header.isCompressed:
                guard isASCII || UTF8Validator.isValid(UnsafeRawBufferPointer(payload)) else {
                    throw .badText
                }
                return .message(.text, range)
            case .binary where header.isFinal && !header.isCompressed:
                return .message(.binary, range)
            case .text, .binary, .continuation:
                return try self.assemble(
                    header, UnsafeRawBufferPointer(payload), limits, inflater)
            case .ping:
                return .ping(range)
            case .pong:
                return .pong(range)
            case .close:
                return try self.close(UnsafeRawBufferPointer(payload), range)
            }
        }
    }

    /// Performs the checks that do not need the payload.
    private func check(_ header: WebSocketFrameHeader, _ limits: WebSocketLimits)
        throws(WebSocketError)
    {
        switch header.opcode {
        case .text, .binary:
            guard self.fragmentedKind == nil else { throw .interleavedMessage }
        case .continuation:
            guard self.fragmentedKind != nil else { throw .unexpectedContinuation }
        case .close, .ping, .pong:
            return
        }
        guard header.payloadByteCount <= limits.messageBytes - self.fragments.count else {
            throw .messageTooBig(limit: limits.messageBytes)
        }
    }

    /// Adds a fragment or a compressed message.
    private mutating func assemble(
        _ header: WebSocketFrameHeader, _ payload: UnsafeRawBufferPointer,
        _ limits: WebSocketLimits, _ inflater: Inflater?
    ) throws(WebSocketError) -> WebSocketInput {
        if header.opcode != .continuation {
            let kind: WebSocketMessageKind = header.opcode == .text ? .text : .binary
            if header.isFinal { return try Self.inflate(kind, payload, limits, inflater) }
            self.fragmentedKind = kind
            self.isFragmentedCompressed = header.isCompressed
            self.fragmentedUTF8 = UTF8Validator()
        }
        guard let kind = self.fragmentedKind else {
            preconditionFailure("A continuation frame without a message was accepted.")
        }
        if kind == .text, !self.isFragmentedCompressed {
            guard self.fragmentedUTF8.accept(payload) else { throw .badText }
        }
        self.fragments.append(contentsOf: payload)
        guard header.isFinal else { return .fragment }

        let message = self.fragments
        self.fragments = []
        self.fragmentedKind = nil
        if self.isFragmentedCompressed {
            return try message.span.bytes.withUnsafeBytes { bytes throws(WebSocketError) in
                try Self.inflate(kind, bytes, limits, inflater)
            }
        }
        guard kind == .binary || self.fragmentedUTF8.isComplete else { throw .badText }
        return .assembledMessage(kind, message)
    }

    private static func inflate(
        _ kind: WebSocketMessageKind, _ payload: UnsafeRawBufferPointer, _ limits: WebSocketLimits,
        _ inflater: Inflater?
    ) throws(WebSocketError) -> WebSocketInput {
        guard let inflater else {
            preconditionFailure("Compression was negotiated, but there is no inflater.")
        }
        do {
            try inflater.inflate(payload, byteLimit: limits.messageBytes)
        } catch {
            throw error == .tooBig ? .messageTooBig(limit: limits.messageBytes) : .badCompression
        }
        guard kind == .binary || UTF8Validator.isValid(inflater.output) else { throw .badText }
        return .inflatedMessage(kind)
    }

    private mutating func close(_ payload: UnsafeRawBufferPointer, _ range: Range<Int>)
        throws(WebSocketError) -> WebSocketInput
    {
        self.isClosed = true
        self.fragments = []
        if payload.isEmpty { return .close(nil, reason: range) }
        guard payload.count >= 2 else { throw .badClosePayload }
        let code = WebSocketCloseCode(
            rawValue: UInt16(bigEndian: payload.loadUnaligned(as: UInt16.self)))
        guard code.mayBeSent else { throw .badCloseCode(code.rawValue) }
        guard UTF8Validator.isValid(UnsafeRawBufferPointer(rebasing: payload[2...])) else {
            throw .badCloseReason
        }
        return .close(code, reason: range.lowerBound + 2..<range.upperBound)
    }
}

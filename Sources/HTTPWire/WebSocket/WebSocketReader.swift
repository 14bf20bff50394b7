/// What a peer has sent, once it is whole. Ranges are places in the buffer that was read, good until that buffer changes.
public enum WebSocketInput: Sendable, Hashable {
    /// A message of one frame, unmasked where it lies.
    case message(WebSocketMessageKind, Range<Int>)
    /// A message that was put together of several frames.
    case assembledMessage(WebSocketMessageKind, [UInt8])
    /// A message that was compressed; it lies in the inflater's `output` until that is used again.
    case inflatedMessage(WebSocketMessageKind)
    /// To be answered with a pong of the same bytes.
    case ping(Range<Int>)
    case pong(Range<Int>)
    /// To be answered with a close frame of the same code, unless one was sent already. Nothing is read behind it.
    case close(WebSocketCloseCode?, reason: Range<Int>)
}

/// Text, which is UTF-8, or bytes.
public enum WebSocketMessageKind: Sendable, Hashable {
    case text, binary
}

/// How much a peer may send at once. Beyond it the connection is closed with 1009.
public struct WebSocketLimits: Sendable, Hashable {
    /// A frame's payload.
    public var frameBytes: Int
    /// A message after all its fragments were put together, compressed as well as inflated.
    public var messageBytes: Int

    public init(frameBytes: Int = 1 << 20, messageBytes: Int = 1 << 20) {
        self.frameBytes = frameBytes
        self.messageBytes = messageBytes
    }
}

/// Reads the frames of one connection (RFC 6455 sections 5 and 6, RFC 7692).
///
/// It holds no bytes: a socket is read into a buffer that belongs to the whole loop, and frames are unmasked where they lie.
/// Only the fragments of a message that has not ended are kept here, so an idle connection costs no more than this struct.
public struct WebSocketReader: Sendable {
    /// Whose side reads: a server demands masks, a client forbids them.
    public enum EndpointRole: UInt8, Sendable, Hashable {
        case server, client
    }

    /// How many bytes, from the first unread one on, the buffer must hold before `next` can say more. Set when it answers nil.
    public private(set) var neededByteCount = 2

    private var fragments: [UInt8] = []
    private let role: EndpointRole
    /// Whether permessage-deflate was agreed on.
    public let acceptsCompression: Bool
    /// The kind of the message whose fragments are being gathered.
    private var fragmentedKind: WebSocketMessageKind?
    private var isFragmentedCompressed = false
    private var fragmentedUTF8 = UTF8Validator()
    private var isClosed = false

    /// - Parameter takesCompression: whether permessage-deflate was agreed on in the handshake.
    public init(role: EndpointRole, acceptsCompression takesCompression: Bool = false) {
        self.role = role
        self.acceptsCompression = takesCompression
    }

    /// The next thing in `buffer`, from `offset` on; moves `offset` behind it.
    ///
    /// Nil when no whole frame is there: keep what begins at `offset`, and come back with more behind it. A frame that
    /// breaks the protocol or a limit throws as soon as its header shows it. After an error, and after `close`, there is nothing
    /// more to read.
    ///
    /// - Parameter inflater: the loop's; needed if compression was agreed on.
    public mutating func next(
        in buffer: UnsafeMutableRawBufferPointer, from offset: inout Int, limits: WebSocketLimits,
        inflater: Inflater? = nil
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
            case .complete(let whole):
                header = whole
            }
            try self.check(header, limits)
            let frameByteCount = header.byteCount + header.payloadByteCount
            guard unread.count >= frameByteCount else {
                self.neededByteCount = frameByteCount
                return nil
            }

            let payload = UnsafeMutableRawBufferPointer(
                rebasing: unread[header.byteCount..<frameByteCount])
            let place = offset + header.byteCount..<offset + frameByteCount
            let isASCII = header.mask != 0 && WebSocketMask.apply(header.mask, to: payload)
            offset += frameByteCount
            switch header.opcode {
            case .text where header.isFinal && !header.isCompressed:
                guard isASCII || UTF8Validator.isValid(UnsafeRawBufferPointer(payload)) else {
                    throw .badText
                }
                return .message(.text, place)
            case .binary where header.isFinal && !header.isCompressed:
                return .message(.binary, place)
            case .text, .binary, .continuation:
                if let message = try self.assemble(
                    header, UnsafeRawBufferPointer(payload), limits, inflater)
                {
                    return message
                }
            case .ping:
                return .ping(place)
            case .pong:
                return .pong(place)
            case .close:
                return try self.close(UnsafeRawBufferPointer(payload), place)
            }
        }
    }

    /// What can be said before the payload is there.
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

    /// A fragment, or a compressed message; nil when more fragments follow.
    private mutating func assemble(
        _ header: WebSocketFrameHeader, _ payload: UnsafeRawBufferPointer,
        _ limits: WebSocketLimits, _ inflater: Inflater?
    ) throws(WebSocketError) -> WebSocketInput? {
        if header.opcode != .continuation {
            let kind: WebSocketMessageKind = header.opcode == .text ? .text : .binary
            if header.isFinal { return try Self.inflate(kind, payload, limits, inflater) }
            self.fragmentedKind = kind
            self.isFragmentedCompressed = header.isCompressed
            self.fragmentedUTF8 = UTF8Validator()
        }
        guard let kind = self.fragmentedKind else {
            preconditionFailure("A continuation was let through without a message.")
        }
        if kind == .text, !self.isFragmentedCompressed {
            guard self.fragmentedUTF8.accept(payload) else { throw .badText }
        }
        self.fragments.append(contentsOf: payload)
        guard header.isFinal else { return nil }

        let whole = self.fragments
        self.fragments = []
        self.fragmentedKind = nil
        if self.isFragmentedCompressed {
            return try whole.span.bytes.withUnsafeBytes { bytes throws(WebSocketError) in
                try Self.inflate(kind, bytes, limits, inflater)
            }
        }
        guard kind == .binary || self.fragmentedUTF8.isComplete else { throw .badText }
        return .assembledMessage(kind, whole)
    }

    private static func inflate(
        _ kind: WebSocketMessageKind, _ payload: UnsafeRawBufferPointer, _ limits: WebSocketLimits,
        _ inflater: Inflater?
    ) throws(WebSocketError) -> WebSocketInput {
        guard let inflater else {
            preconditionFailure("Compression was agreed on, but there is nothing to inflate with.")
        }
        do {
            try inflater.inflate(payload, byteLimit: limits.messageBytes)
        } catch {
            throw error == .tooBig ? .messageTooBig(limit: limits.messageBytes) : .badCompression
        }
        guard kind == .binary || UTF8Validator.isValid(inflater.output) else { throw .badText }
        return .inflatedMessage(kind)
    }

    private mutating func close(_ payload: UnsafeRawBufferPointer, _ place: Range<Int>)
        throws(WebSocketError) -> WebSocketInput
    {
        self.isClosed = true
        self.fragments = []
        if payload.isEmpty { return .close(nil, reason: place) }
        guard payload.count >= 2 else { throw .badClosePayload }
        let code = WebSocketCloseCode(
            rawValue: UInt16(bigEndian: payload.loadUnaligned(as: UInt16.self)))
        guard code.mayBeSent else { throw .badCloseCode(code.rawValue) }
        guard UTF8Validator.isValid(UnsafeRawBufferPointer(rebasing: payload[2...])) else {
            throw .badCloseReason
        }
        return .close(code, reason: place.lowerBound + 2..<place.upperBound)
    }
}

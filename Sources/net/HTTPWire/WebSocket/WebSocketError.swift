/// A violation by the peer that ends the connection, with the close code to send (RFC 6455 section
/// 7.1.7).
public enum WebSocketError: Error, Sendable, Hashable, CustomStringConvertible {
    case reservedBits
    case unknownOpcode(UInt8)
    case unmaskedClientFrame
    case maskedServerFrame
    case fragmentedControlFrame
    case controlFrameTooLong
    case badLength
    case unexpectedContinuation
    case interleavedMessage
    case badClosePayload
    case badCloseCode(UInt16)
    case badText
    case badCloseReason
    case badCompression
    case frameTooBig(limit: Int)
    case messageTooBig(limit: Int)

    public var closeCode: WebSocketCloseCode {
        switch self {
        case .badText, .badCloseReason, .badCompression: .invalidPayload
        case .frameTooBig, .messageTooBig: .messageTooBig
        default: .protocolError
        }
    }

    /// A sentence that fits into a close frame.
    public var description: String {
        switch self {
        case .reservedBits: "A reserved bit is set that no extension has given a meaning."
        case .unknownOpcode(let opcode): "Frames with opcode \(opcode) are not defined."
        case .unmaskedClientFrame: "A client's frame must be masked."
        case .maskedServerFrame: "A server's frame must not be masked."
        case .fragmentedControlFrame: "A control frame must not be fragmented."
        case .controlFrameTooLong: "A control frame carries at most 125 bytes."
        case .badLength: "The length of a frame is not written in its shortest form."
        case .unexpectedContinuation: "A continuation frame has no message to continue."
        case .interleavedMessage: "A message begins before the one before has ended."
        case .badClosePayload: "A close frame's payload has one byte, but a close code has two."
        case .badCloseCode(let code): "The close code \(code) must not be sent."
        case .badText: "A text message is not UTF-8."
        case .badCloseReason: "The reason in a close frame is not UTF-8."
        case .badCompression: "A compressed message cannot be inflated."
        case .frameTooBig(let limit): "A frame has more than \(limit) bytes."
        case .messageTooBig(let limit): "A message has more than \(limit) bytes."
        }
    }
}

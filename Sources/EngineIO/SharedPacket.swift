public import Bytes

/// A packet for a client: the bytes of a shared frame from an offset on, starting with the type
/// byte.
///
/// The frame of a WebSocket ends with its packet. So a polling client gets the bytes that were
/// written for WebSockets, without a copy for each client that waits.
public struct SharedPacket: Sendable {
    private let frame: SharedFrame
    private let offset: Int

    /// - Parameter offset: the number of bytes before the packet, such as a frame's header.
    public init(_ frame: SharedFrame, from offset: Int = 0) {
        precondition(
            0...frame.count ~= offset, "\(offset) is outside of a frame of \(frame.count) bytes.")
        self.frame = frame
        self.offset = offset
    }

    /// The number of bytes.
    public var count: Int { self.frame.count - self.offset }

    /// Calls `body` with the bytes, which are valid only during the call.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        self.frame.withBytes { body(UnsafeRawBufferPointer(rebasing: $0[self.offset...])) }
    }
}

public import Bytes

/// The bytes of a packet for a client, starting with the type byte.
///
/// A type of its own, because other shared frames have the header of a WebSocket frame.
public struct SharedPacket: Sendable {
    private let bytes: SharedFrame

    /// - Parameter bytes: the whole packet, without the header of a WebSocket frame.
    public init(_ bytes: SharedFrame) { self.bytes = bytes }

    /// The number of bytes.
    public var count: Int { self.bytes.count }

    /// Calls `body` with the bytes, which are valid only during the call.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        self.bytes.withBytes(body)
    }
}

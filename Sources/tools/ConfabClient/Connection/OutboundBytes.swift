public import TLS

/// Bytes that the socket has not accepted yet, up to a limit. At the limit the owner stops sending
/// or drops the connection.
public struct OutboundBytes: Sendable {
    private var bytes: [UInt8] = []
    private var start = 0
    public let limitBytes: Int

    /// The capacity that an empty buffer retains.
    private static let retainedCapacityBytes = 64 << 10

    public init(limitBytes: Int) {
        self.limitBytes = limitBytes
    }

    public var count: Int { self.bytes.count - self.start }
    public var isEmpty: Bool { self.bytes.count == self.start }

    /// Appends bytes. Returns false, and appends none, if the limit would be exceeded.
    public mutating func append(_ more: UnsafeRawBufferPointer) -> Bool {
        guard more.count <= self.limitBytes - self.count else { return false }
        self.bytes.append(contentsOf: more)
        return true
    }

    /// Writes as much as the transport accepts. Returns an error if the connection has ended.
    public mutating func flush(to transport: inout OutgoingTransport) -> ClientError? {
        while !self.isEmpty {
            let start = self.start
            let result = self.bytes.withUnsafeBytes {
                transport.write(UnsafeRawBufferPointer(rebasing: $0[start...]))
            }
            switch result {
            case .bytes(let count):
                self.start += count
            case .wouldBlock:
                self.compact()
                return nil
            case .endOfStream:
                return .broken(reason: "the server closed it")
            case .failed(let failure):
                return ClientError(failure)
            }
        }
        self.bytes.removeAll(keepingCapacity: self.bytes.capacity <= Self.retainedCapacityBytes)
        self.start = 0
        return nil
    }

    /// Moves the remaining bytes to the front, but only when fewer remain than were sent. So each
    /// byte is moved once at most.
    private mutating func compact() {
        guard self.start > self.count else { return }
        self.bytes.removeFirst(self.start)
        self.start = 0
    }
}

public import TLS

/// What a socket has not taken yet, up to a limit. Beyond it the owner stops sending or gives the connection up.
public struct OutboundBytes: Sendable {
    private var bytes: [UInt8] = []
    private var start = 0
    public let limitBytes: Int

    /// Capacity that is kept while nothing waits.
    private static let retainedCapacityBytes = 64 << 10

    public init(limitBytes: Int) {
        self.limitBytes = limitBytes
    }

    public var count: Int { self.bytes.count - self.start }
    public var isEmpty: Bool { self.bytes.count == self.start }

    /// Puts bytes behind the others. False, and they are not taken, when there would be too many.
    public mutating func append(_ more: UnsafeRawBufferPointer) -> Bool {
        guard more.count <= self.limitBytes - self.count else { return false }
        self.bytes.append(contentsOf: more)
        return true
    }

    /// Gives the transport what it takes; answers with the reason when that is gone.
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

    /// Moves what is left to the front once that is less than what has gone, so that each byte is moved once at most.
    private mutating func compact() {
        guard self.start > self.count else { return }
        self.bytes.removeFirst(self.start)
        self.start = 0
    }
}

/// Bytes ready for a socket, made once and written to any number of sockets.
///
/// Immutable after its making, so every loop and connection may hold it; holding it costs one reference.
public struct SharedFrame: @unchecked Sendable {
    // Unchecked because ManagedBuffer is open to writing; nothing here writes after `init`.
    private let storage: ManagedBuffer<Int, UInt8>

    /// A frame of exactly these bytes, in one allocation.
    public init(_ bytes: UnsafeRawBufferPointer) {
        self.storage = ManagedBuffer.create(minimumCapacity: bytes.count) { _ in bytes.count }
        self.storage.withUnsafeMutablePointerToElements { elements in
            UnsafeMutableRawBufferPointer(start: elements, count: bytes.count).copyMemory(
                from: bytes)
        }
    }

    /// A frame of exactly these bytes, in one allocation.
    public init(_ bytes: [UInt8]) {
        self = bytes.withUnsafeBytes { SharedFrame($0) }
    }

    /// How many bytes it has.
    public var count: Int { self.storage.withUnsafeMutablePointerToHeader { $0.pointee } }

    /// Its bytes, for as long as `body` runs.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        self.storage.withUnsafeMutablePointers { count, elements in
            body(UnsafeRawBufferPointer(start: elements, count: count.pointee))
        }
    }
}

/// The bytes of one frame, created once and written to any number of sockets.
///
/// A frame is immutable, so every loop and connection may hold it. Each holder costs one reference.
public struct SharedFrame: @unchecked Sendable {
    // Unchecked because ManagedBuffer is mutable. Nothing here writes to it after `init`.
    private let storage: ManagedBuffer<Int, UInt8>

    /// Copies the bytes into one allocation.
    public init(_ bytes: UnsafeRawBufferPointer) {
        self.storage = ManagedBuffer.create(minimumCapacity: bytes.count) { _ in bytes.count }
        self.storage.withUnsafeMutablePointerToElements { elements in
            UnsafeMutableRawBufferPointer(start: elements, count: bytes.count).copyMemory(
                from: bytes)
        }
    }

    /// Copies the bytes into one allocation.
    public init(_ bytes: [UInt8]) {
        self = bytes.withUnsafeBytes { SharedFrame($0) }
    }

    /// The number of bytes.
    public var count: Int { self.storage.withUnsafeMutablePointerToHeader { $0.pointee } }

    /// Calls `body` with the bytes, which are valid only during the call.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        self.storage.withUnsafeMutablePointers { count, elements in
            body(UnsafeRawBufferPointer(start: elements, count: count.pointee))
        }
    }
}

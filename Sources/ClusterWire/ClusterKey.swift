internal import Bytes
internal import Identity

/// The secret that all nodes of a cluster share: whoever can publish in Redis and does not have it cannot speak as a node.
public struct ClusterKey: Sendable {
    private let key: HMACKey

    public static let secretByteMinimum = 32

    /// Nil for a secret of less than 32 bytes.
    public init?(secret: [UInt8]) {
        guard secret.count >= Self.secretByteMinimum else { return nil }
        self.key = HMACKey(secret)
    }

    /// A key for clusters that were given none: all their nodes verify tokens with the same secret. Two clusters of different names have
    /// different keys, and none of them tells the secret.
    public init(derivedFrom tokenSecret: [UInt8], cluster name: String) {
        let label = Array("confab cluster key v1 \(name)".utf8)
        self.key = HMACKey(label.withUnsafeBytes { HMACKey(tokenSecret).sign($0) })
    }

    /// Appends the code of everything from `start` on.
    func seal(_ buffer: inout ByteBuffer, from start: Int) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: HMACKey.signatureBytes) { code in
            buffer.bytes.withUnsafeBytes {
                self.key.sign(
                    UnsafeRawBufferPointer(rebasing: $0[start...]), into: code.baseAddress!)
            }
            buffer.append(
                contentsOf: UnsafeRawBufferPointer(
                    rebasing: UnsafeRawBufferPointer(code)[..<NodePacket.codeBytes]))
        }
    }

    /// Whether the last bytes are the code of those before. Compares in a time that does not tell how much of it is right.
    func isSealed(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let end = bytes.count - NodePacket.codeBytes
        guard end >= 0 else { return false }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: HMACKey.signatureBytes) {
            code in
            self.key.sign(UnsafeRawBufferPointer(rebasing: bytes[..<end]), into: code.baseAddress!)
            var difference: UInt8 = 0
            for place in 0..<NodePacket.codeBytes { difference |= code[place] ^ bytes[end + place] }
            return difference == 0
        }
    }
}

/// It is never printed, not even by accident.
extension ClusterKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "a cluster key" }
    public var debugDescription: String { self.description }
    public var customMirror: Mirror { Mirror(self, children: [] as [Mirror.Child]) }
}

internal import Bytes
internal import Identity

/// The secret that all nodes of a cluster share. A client that can publish in Redis but lacks the
/// secret cannot impersonate a node.
public struct ClusterKey: Sendable {
    private let key: HMACKey

    public static let secretByteMinimum = 32

    /// Nil for a secret of less than 32 bytes.
    public init?(secret: [UInt8]) {
        guard secret.count >= Self.secretByteMinimum else { return nil }
        self.key = HMACKey(secret)
    }

    /// A key for clusters without a configured one. All nodes verify tokens with the same secret,
    /// so the key is derived from it. Clusters with different names get different keys, and no key
    /// reveals the secret.
    public init(derivedFrom tokenSecret: [UInt8], cluster name: String) {
        let label = Array("confab cluster key v1 \(name)".utf8)
        self.key = HMACKey(label.withUnsafeBytes { HMACKey(tokenSecret).sign($0) })
    }

    /// Appends the authentication code of all bytes from `start` on.
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

    /// Whether the last bytes are the authentication code of the bytes before them. The comparison
    /// takes the same time however many bytes match.
    func isSealed(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let end = bytes.count - NodePacket.codeBytes
        guard end >= 0 else { return false }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: HMACKey.signatureBytes) {
            code in
            self.key.sign(UnsafeRawBufferPointer(rebasing: bytes[..<end]), into: code.baseAddress!)
            var difference: UInt8 = 0
            for index in 0..<NodePacket.codeBytes { difference |= code[index] ^ bytes[end + index] }
            return difference == 0
        }
    }
}

/// The key is never printed, not even by accident.
extension ClusterKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "a cluster key" }
    public var debugDescription: String { self.description }
    public var customMirror: Mirror { Mirror(self, children: [] as [Mirror.Child]) }
}

import Bytes
import ChatModel
import Identity

/// The key that signs recovery tokens. It is never printed.
public struct RecoveryKey: Sendable, CustomStringConvertible {
    private let key: HMACKey

    /// - Parameter secret: the same on all nodes. Signatures reveal nothing about it.
    public init(derivedFrom secret: [UInt8], cluster name: String) {
        let label = Array("confab recovery key v1 \(name)".utf8)
        self.key = HMACKey(label.withUnsafeBytes { HMACKey(secret).sign($0) })
    }

    func sign(_ bytes: [UInt8]) -> [UInt8] {
        Array(bytes.withUnsafeBytes { self.key.sign($0) }.prefix(RecoveryToken.signatureBytes))
    }

    public var description: String { "a recovery key" }
}

/// The `pid` with which a client resumes after a broken connection. It proves that a node of the
/// cluster accepted the session, and for which tenant and user.
///
/// It is not a credential of a user with a token: a client that needs a token to connect also needs
/// one to reconnect. It is the only credential of a guest without a token.
struct RecoveryToken: Equatable {
    static let signatureBytes = 16
    private static let version: UInt8 = 1

    /// The client's Socket.IO id.
    let sid: String
    let tenant: ByteString
    /// The user of the client's token. Without one, the guest of the connection, whose name is not
    /// known yet.
    let user: UserID?

    /// `<the fields in base64url>.<the signature>`.
    func text(_ key: RecoveryKey) -> String {
        let bytes = self.bytes
        return Base64URL.encode(bytes) + "." + Base64URL.encode(key.sign(bytes))
    }

    private var bytes: [UInt8] {
        var bytes: [UInt8] = [Self.version]
        for field in [ByteString(self.sid), self.tenant, self.user?.storageKey ?? ""] {
            bytes.append(UInt8(truncatingIfNeeded: field.byteCount >> 8))
            bytes.append(UInt8(truncatingIfNeeded: field.byteCount))
            field.withBytes { bytes.append(contentsOf: $0) }
        }
        return bytes
    }

    init(sid: String, tenant: ByteString, user: UserID?) {
        self.sid = sid
        self.tenant = tenant
        self.user = user
    }

    /// Nil unless a node of the cluster has issued it.
    init?(_ text: String, _ key: RecoveryKey) {
        guard text.utf8.count <= 2048 else { return nil }
        let halves = text.split(separator: ".", omittingEmptySubsequences: false)
        guard halves.count == 2, let bytes = Base64URL.decode(halves[0].utf8),
            let signature = Base64URL.decode(halves[1].utf8),
            Self.equalInConstantTime(signature, key.sign(bytes)), bytes.first == Self.version
        else { return nil }
        var fields: [ByteString] = []
        var rest = bytes[1...]
        while rest.count >= 2 {
            let count = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
            rest = rest.dropFirst(2)
            guard rest.count >= count,
                let field = String(validating: rest.prefix(count), as: UTF8.self)
            else { return nil }
            fields.append(ByteString(field))
            rest = rest.dropFirst(count)
        }
        guard fields.count == 3, rest.isEmpty else { return nil }
        self.init(
            sid: fields[0].string, tenant: fields[1],
            user: fields[2].byteCount == 0 ? nil : UserID(storageKey: fields[2]))
    }

    /// Compares in constant time, so that the duration reveals nothing about the signature.
    private static func equalInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(into: 0 as UInt8) { $0 |= $1.0 ^ $1.1 } == 0
    }
}

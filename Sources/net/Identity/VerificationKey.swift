internal import Bytes

/// A key for verifying tokens. It belongs to exactly one algorithm.
///
/// The `alg` of a token only selects among keys. A public RSA key is therefore never used as an
/// HS256 secret.
struct VerificationKey: Sendable {
    enum Material: Sendable {
        case secret(HMACKey)
        case publicKey(PublicKey)
    }

    /// The `kid` of a JSON Web Key. A key without one (from a secret or PEM file) is tried for
    /// every token of its algorithm.
    let id: ByteString?
    let material: Material

    init(id: ByteString? = nil, secret: [UInt8]) {
        self.id = id
        self.material = .secret(HMACKey(secret))
    }

    init(id: ByteString? = nil, publicKey: PublicKey) {
        self.id = id
        self.material = .publicKey(publicKey)
    }

    var algorithm: TokenAlgorithm {
        switch self.material {
        case .secret: .hs256
        case .publicKey(let key): key.algorithm
        }
    }

    func isValid(_ signature: [UInt8], of message: UnsafeRawBufferPointer) -> Bool {
        switch self.material {
        case .secret(let key): key.isValid(signature, of: message)
        case .publicKey(let key): key.isValid(signature, of: message)
        }
    }
}

internal import Bytes
internal import JSON

/// A file with a JSON Web Key set (RFC 7517 section 5).
///
/// Keys for other purposes (another `kty`, `crv`, `alg` or `use`) are ignored, as the RFC demands.
/// An invalid key of a supported kind is skipped with a warning: issuers publish keys for all their
/// clients in one set, and one odd key must not stop the logins with the others.
struct KeySetFile {
    let path: String

    /// The usable keys, and the reasons why others are not used.
    typealias KeySet = (keys: [VerificationKey], skipped: [KeyError])

    /// - Throws: if no key is usable; with the reason of the first skipped one, if there is one.
    func read() throws(KeyError) -> KeySet {
        let text = try KeyError.read(self.path)
        let document: JSONTree
        do {
            document = try JSONTree(parsing: text.span.bytes)
        } catch {
            throw .unusable(
                path: self.path, reason: "is not valid JSON (error at byte \(error.offset))")
        }
        guard let entries = document["keys"]?.elements else {
            throw .unusable(
                path: self.path, reason: "is not a JSON Web Key set: it has no list \"keys\"")
        }
        var set: KeySet = ([], [])
        for (index, entry) in entries.enumerated() {
            do throws(PublicKey.PublicKeyError) {
                if let key = try JSONWebKey(entry).verificationKey() { set.keys.append(key) }
            } catch {
                set.skipped.append(
                    .unusableKey(
                        path: self.path, number: index + 1,
                        id: (entry["kid"]?.stringValue).map { String($0.prefix(200)) },
                        reason: error.reason))
            }
        }
        guard !set.keys.isEmpty else {
            if let error = set.skipped.first { throw error }
            throw .unusable(path: self.path, reason: "has no key for HS256, RS256, ES256 or EdDSA")
        }
        return set
    }
}

/// One entry of a key set (RFC 7517 section 4).
private struct JSONWebKey {
    private let entry: JSONTree

    init(_ entry: JSONTree) {
        self.entry = entry
    }

    /// Returns nil for a key that is not meant for verification with a supported algorithm.
    func verificationKey() throws(PublicKey.PublicKeyError) -> VerificationKey? {
        guard self.entry.members != nil else { throw .init(reason: "is not a JSON object") }
        let type = try self.text("kty")
        guard let algorithm = try self.algorithm(type), try self.isForVerifying() else {
            return nil
        }
        if let named = try self.text("alg"), TokenAlgorithm(named: named) != algorithm {
            return nil
        }
        let id = try self.text("kid").map { ByteString($0) }
        if algorithm == .hs256 {
            let secret = try self.bytes("k")
            guard secret.count >= SecretFile.secretByteMinimum else {
                throw .init(
                    reason:
                        "is a secret of \(secret.count) bytes; "
                        + "at least \(SecretFile.secretByteMinimum) are required"
                )
            }
            return VerificationKey(id: id, secret: secret)
        }
        guard self.entry["d"] == nil else {
            throw .init(reason: "contains a private key; give the public key")
        }
        return VerificationKey(id: id, publicKey: try self.publicKey(algorithm))
    }

    private func publicKey(_ algorithm: TokenAlgorithm) throws(PublicKey.PublicKeyError)
        -> PublicKey
    {
        switch algorithm {
        case .es256: try PublicKey(p256X: try self.bytes("x"), y: try self.bytes("y"))
        case .edDSA: try PublicKey(ed25519: try self.bytes("x"))
        case .rs256, .hs256:
            try PublicKey(rsaModulus: try self.bytes("n"), exponent: try self.bytes("e"))
        }
    }

    private func algorithm(_ type: String?) throws(PublicKey.PublicKeyError) -> TokenAlgorithm? {
        switch type {
        case "oct": .hs256
        case "RSA": .rs256
        case "EC": try self.text("crv") == "P-256" ? .es256 : nil
        case "OKP": try self.text("crv") == "Ed25519" ? .edDSA : nil
        case nil: throw .init(reason: "has no \"kty\"")
        default: nil
        }
    }

    private func isForVerifying() throws(PublicKey.PublicKeyError) -> Bool {
        if let use = try self.text("use"), use != "sig" { return false }
        guard let operations = self.entry["key_ops"] else { return true }
        guard let operations = operations.elements else {
            throw .init(reason: "has a \"key_ops\" that is not a list")
        }
        return operations.contains(.string("verify"))
    }

    private func text(_ name: String) throws(PublicKey.PublicKeyError) -> String? {
        guard let value = self.entry[name] else { return nil }
        guard let text = value.stringValue else {
            throw .init(reason: "has a \"\(name)\" that is not a string")
        }
        return text
    }

    private func bytes(_ name: String) throws(PublicKey.PublicKeyError) -> [UInt8] {
        guard let text = try self.text(name) else { throw .init(reason: "has no \"\(name)\"") }
        guard let bytes = Base64URL.decode(text.utf8) else {
            throw .init(reason: "has a \"\(name)\" that is not base64url")
        }
        return bytes
    }
}

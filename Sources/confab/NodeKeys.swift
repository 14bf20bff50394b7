import ClusterWire
import Configuration
import Gateway
import Identity
import RoomsDialect
import TLS

/// What a node reads from files and may read again: keys, certificate, origins, limits.
struct NodeKeys {
    let options: ServeOptions
    let files: KeyFiles
    let rules: TokenRules

    /// A failure as one line that names the option.
    struct KeyProblem: Error, CustomStringConvertible {
        let description: String
    }

    init(_ options: ServeOptions) {
        self.options = options
        let isKeyNamed =
            options.jwtSecretFile != nil || !options.jwtPublicKeyFiles.isEmpty
            || options.jwksFile != nil
        let secret =
            options.jwtSecretFile ?? (isKeyNamed ? nil : Self.defaultSecretPath(options.store))
        self.files = KeyFiles(
            secret: secret.map { SecretFile(path: $0) }, publicKeys: options.jwtPublicKeyFiles,
            keySet: options.jwksFile)
        self.rules = TokenRules(
            audience: options.jwtAudience, issuer: options.jwtIssuer,
            leewaySeconds: Int(options.jwtLeeway.components.seconds))
    }

    /// Whether the settings name what tokens are checked with, or the certificate: then these files must be there, and none is made.
    var hasConfiguredKeys: Bool {
        self.options.jwtSecretFile != nil || !self.options.jwtPublicKeyFiles.isEmpty
            || self.options.jwksFile != nil
    }

    /// Where a node that was given no key keeps one of its own: beside the database, or in the working folder.
    static func defaultSecretPath(_ store: StoreLocation) -> String? {
        switch store {
        // Another node could not know it.
        case .redis: nil
        case .memory: "confab.secret"
        case .sqlite(let path): Self.secretPath(forDatabase: path)
        }
    }

    static func secretPath(forDatabase path: String) -> String { "\(path).secret" }

    /// Makes the node's own secret on the first start.
    ///
    /// - Returns: its path, if it was made.
    func makeSecret() throws(KeyProblem) -> String? {
        guard self.options.jwtSecretFile == nil, let secret = self.files.secret else { return nil }
        do throws(KeyError) {
            return try secret.readOrCreate().isNew ? secret.path : nil
        } catch {
            throw KeyProblem(description: error.description)
        }
    }

    /// What the node's own keys come from, the same on all nodes: the cluster key file, without one newline at its end, else the JWT secret.
    ///
    /// - Returns: nil where neither is named, and keys only verify tokens.
    private func sharedSecret() throws(KeyProblem) -> [UInt8]? {
        if let path = self.options.clusterKeyFile {
            do throws(FileProblem) {
                var secret = try FileProblem.read(path)
                if secret.last == UInt8(ascii: "\n") { secret.removeLast() }
                guard secret.count >= ClusterKey.secretByteMinimum else {
                    throw FileProblem(
                        "has \(secret.count) bytes; at least \(ClusterKey.secretByteMinimum) are needed"
                    )
                }
                return secret
            } catch {
                throw KeyProblem(description: "--cluster-key-file: \(path): \(error)")
            }
        }
        do throws(KeyError) {
            return try self.files.secret?.read()
        } catch {
            throw self.problem(error)
        }
    }

    /// A key file's error with the option that names the file.
    private func problem(_ error: KeyError) -> KeyProblem {
        guard let path = error.path else { return KeyProblem(description: error.description) }
        let option: String? =
            if path == self.options.jwtSecretFile {
                "--jwt-secret-file"
            } else if path == self.options.jwksFile {
                "--jwks-file"
            } else if self.options.jwtPublicKeyFiles.contains(path) {
                "--jwt-public-key-file"
            } else {
                nil
            }
        return KeyProblem(description: option.map { "\($0): \(error)" } ?? error.description)
    }

    /// What the nodes of a cluster sign their mail with.
    func clusterKey() throws(KeyProblem) -> ClusterKey {
        guard let secret = try self.sharedSecret() else {
            throw KeyProblem(
                description:
                    "--cluster-key-file: is missing: nodes on Redis need one where there is no --jwt-secret-file"
            )
        }
        guard self.options.clusterKeyFile != nil else {
            return ClusterKey(derivedFrom: secret, cluster: self.options.clusterName)
        }
        guard let key = ClusterKey(secret: secret) else {
            preconditionFailure("A cluster key of \(secret.count) bytes has passed the check.")
        }
        return key
    }

    /// For keys that have to outlast the node only where it has a secret of its own.
    private static let processSecret: [UInt8] = (0..<32).map { _ in UInt8.random(in: 0...255) }

    /// What signs Rooms' recovery passes: the same on all nodes that share a secret, and in all lives of a node that has one. Where keys
    /// only verify, passes are good for one life of a node.
    func recoveryKey() throws(KeyProblem) -> RecoveryKey {
        RecoveryKey(
            derivedFrom: try self.sharedSecret() ?? Self.processSecret,
            cluster: self.options.clusterName)
    }

    /// What signs guest tokens, as far as recovery passes are good; nil where anonymous users may not come in.
    func guestKey() throws(KeyProblem) -> GuestKey? {
        guard self.options.anonymous else { return nil }
        return GuestKey(
            derivedFrom: try self.sharedSecret() ?? Self.processSecret,
            cluster: self.options.clusterName)
    }

    /// What opens the admin API; one trailing newline is not part of it. Nil where no file is named.
    func adminToken() throws(KeyProblem) -> [UInt8]? {
        guard let path = self.options.adminTokenFile else { return nil }
        do throws(FileProblem) {
            var token = try FileProblem.read(path)
            if token.last == UInt8(ascii: "\n") { token.removeLast() }
            guard !token.isEmpty else { throw FileProblem("is empty: it must hold a token") }
            return token
        } catch {
            throw KeyProblem(description: "--admin-token-file: \(path): \(error)")
        }
    }

    /// Finds out whether the certificate and its key can be used, where the settings name them.
    func checkCertificate() throws(KeyProblem) { _ = try self.certificate() }

    private func certificate() throws(KeyProblem) -> TLSContext? {
        guard let certificate = self.options.tlsCertificateFile, let key = self.options.tlsKeyFile
        else { return nil }
        do throws(TLSError) {
            return try TLSContext(serverCertificate: certificate, key: key)
        } catch {
            throw KeyProblem(description: error.description)
        }
    }

    func load() throws(KeyProblem) -> LiveSettings {
        let tls = try self.certificate()
        let verifier: TokenVerifier
        let guests = try self.guestKey()
        do throws(KeyError) {
            verifier = try self.files.load(self.rules, guestKey: guests)
        } catch {
            throw self.problem(error)
        }
        let origins = OriginPolicy(
            self.options.origins, headers: self.options.corsHeaders,
            publicURL: self.options.publicURL)
        return LiveSettings(
            verifier: verifier, tls: tls, origins: origins, limits: self.options.limits)
    }
}

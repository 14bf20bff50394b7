import AdminAPI
import ChatModel
import ClusterWire
import Configuration
import Gateway
import Identity
import TLS

/// The settings that a node reads from files and can reload: keys, certificate, origins, limits.
struct NodeKeys {
    let options: ServeOptions
    let files: KeyFiles
    let rules: TokenRules

    /// A failure, as one line that names the option.
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
            leewaySeconds: Int(options.jwtLeeway.components.seconds),
            tokenBytes: options.limits.tokenBytes)
    }

    /// Whether the settings name a key to verify tokens with. Then these files must exist, and no
    /// secret is created.
    var hasConfiguredKeys: Bool {
        self.options.jwtSecretFile != nil || !self.options.jwtPublicKeyFiles.isEmpty
            || self.options.jwksFile != nil
    }

    /// The path of the secret that a node creates if no key is configured. Other nodes of a shared
    /// store could not read it.
    private static func defaultSecretPath(_ store: StoreLocation) -> String? {
        store.kind.isShared ? nil : store.file("secret")
    }

    /// Creates the node's secret on the first start.
    ///
    /// - Returns: the path, if the file was created.
    func makeSecret() throws(KeyProblem) -> String? {
        guard self.options.jwtSecretFile == nil, let secret = self.files.secret else { return nil }
        do throws(KeyError) {
            return try secret.readOrCreate().isNew ? secret.path : nil
        } catch {
            throw KeyProblem(description: error.description)
        }
    }

    /// The secret that the node's other keys are derived from; the same on all nodes. It is the
    /// cluster key file, without a final newline, or else the JWT secret.
    ///
    /// - Returns: nil where neither is configured, and the keys only verify tokens.
    private func sharedSecret() throws(KeyProblem) -> [UInt8]? {
        if let path = self.options.clusterKeyFile {
            do throws(FileProblem) {
                let secret = try FileProblem.readSecret(path)
                guard secret.count >= ClusterKey.secretByteMinimum else {
                    throw FileProblem(
                        """
                        has \(secret.count) bytes; at least \(ClusterKey.secretByteMinimum) are \
                        needed
                        """
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

    /// Adds the name of the option to a key file's error.
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

    /// The key that signs messages between nodes.
    func clusterKey() throws(KeyProblem) -> ClusterKey {
        guard let secret = try self.sharedSecret() else {
            throw KeyProblem(
                description:
                    "--cluster-key-file: required with Redis where there is no --jwt-secret-file"
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

    /// A secret for keys that need to outlast the process only if the node has a configured secret.
    private static let processSecret: [UInt8] = (0..<32).map { _ in UInt8.random(in: 0...255) }

    /// The secret from which dialects derive keys, such as that of Rooms' recovery tokens. It is
    /// the same on all nodes that share a secret, and after a restart. Without a secret, these keys
    /// are valid until the process ends.
    func dialectSecret() throws(KeyProblem) -> [UInt8] {
        try self.sharedSecret() ?? Self.processSecret
    }

    /// The key that signs guest tokens, which are valid as long as recovery tokens. Nil if
    /// anonymous users are not allowed.
    func guestKey() throws(KeyProblem) -> GuestKey? {
        guard self.options.anonymous else { return nil }
        return GuestKey(
            derivedFrom: try self.dialectSecret(), cluster: self.options.clusterName)
    }

    /// Checks the certificate and its key, if they are configured.
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
        // A token proves more than a name, so the name matters only where guests may enter.
        let hosts =
            self.options.anonymous
            ? HostPolicy(
                names: self.options.hosts + [self.options.listen.host],
                publicURL: self.options.publicURL, reportedBy: self.options.namedProxies) : .any
        return LiveSettings(
            verifier: verifier, tls: tls, origins: origins, hosts: hosts,
            limits: self.options.limits)
    }
}

import AdminAPI
import Bytes
import Configuration
import Glibc
import Identity
import Telemetry

/// The tokens of operators, and the warnings about secrets.
extension NodeKeys {
    /// The path of the operator's token that the node creates. Nil if a file is configured, or none
    /// is needed.
    var createdAdminTokenPath: String? {
        guard self.options.admin != nil, self.options.requiresAdminToken,
            self.options.adminTokenFile == nil
        else { return nil }
        return self.options.store.file("admin-token")
    }

    /// The same path for processes in other folders.
    var createdAdminTokenFile: String? {
        guard let path = self.createdAdminTokenPath else { return nil }
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Creates the operator's token on the first start, unless a file is configured.
    ///
    /// - Returns: the path, if the file was created.
    func makeAdminToken() throws(KeyProblem) -> String? {
        guard let path = self.createdAdminTokenPath else { return nil }
        do throws(KeyError) {
            return try SecretFile(path: path).readOrCreate().isNew ? path : nil
        } catch {
            throw KeyProblem(
                description: "\(error); --admin-token-file names another file with tokens")
        }
    }

    /// The bearer tokens of the admin API. Nil if none are needed.
    func adminTokens() throws(KeyProblem) -> AdminTokens? {
        guard let path = self.options.adminTokenFile ?? self.createdAdminTokenPath else {
            return nil
        }
        let option = self.options.adminTokenFile == nil ? "" : "--admin-token-file: "
        do {
            return try AdminTokens(parsing: try FileProblem.readSecret(path))
        } catch {
            throw KeyProblem(description: "\(option)\(path): \(error)")
        }
    }

    /// The files with secrets that every user of this machine can read.
    var exposedSecrets: [String] {
        let created = [
            self.files.secret?.path, self.createdAdminTokenPath,
            self.options.webhooks.isEmpty ? nil : self.webhookSecretPath,
        ]
        var paths = self.options.secretFiles
        for path in created.compactMap({ $0 }) where !paths.contains(path) { paths.append(path) }
        return paths.filter { path in
            var status = stat()
            return stat(path, &status) == 0 && status.st_mode & 0o007 != 0
        }
    }

    /// The names of admin tokens that can be guessed.
    var weakAdminTokens: [String] { (try? self.adminTokens())?.weakNames ?? [] }

    func logWarnings(to logger: Logger) {
        for warning in self.warnings {
            logger.warning("configuration warning", ["reason": .text(warning)])
        }
    }

    /// What the node warns about at its start. None of it prevents the start.
    var warnings: [String] {
        self.files.skippedKeys.map { "--jwks-file: \($0)" }
            + self.exposedSecrets.map {
                "\($0): every user of this machine can read this secret; chmod o= protects it"
            }
            + self.weakAdminTokens.map {
                """
                --admin-token-file: the token \($0) has fewer than \
                \(AdminTokens.secretByteMinimum) bytes and can be guessed
                """
            }
    }
}

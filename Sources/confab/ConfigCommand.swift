import Configuration

/// `confab config check`: everything that `serve` would find wrong, without serving.
enum ConfigCommand {
    static func check(_ options: ServeOptions) -> Int32 {
        for warning in options.warnings { Program.complain("confab: warning: \(warning)") }
        if options.anonymous, !options.listen.isLoopback {
            Program.complain("confab: warning: anonymous: whoever reaches \(options.listen) may connect without a token")
        }
        let problems = options.fileProblems { _, path in
            do throws(FileProblem) {
                _ = try FileProblem.read(path)
                return nil
            } catch {
                return error.description
            }
        }
        for problem in problems { Program.complain(problem.description) }
        guard problems.isEmpty else { return UsageError.exitStatus }
        // A secret of the node's own is made by the first start, not by a check.
        let namesKeys =
            options.jwtSecretFile != nil || options.tlsCertificateFile != nil || !options.jwtPublicKeyFiles.isEmpty
            || options.jwksFile != nil
        let keys = NodeKeys(options)
        do throws(NodeKeys.Problem) {
            _ = try keys.adminToken()
            if options.clusterKeyFile != nil { _ = try keys.recoveryKey() }
            if namesKeys { _ = try keys.load() }
        } catch {
            Program.complain("confab: \(error)")
            return UsageError.exitStatus
        }
        print("the configuration is good")
        return 0
    }
}

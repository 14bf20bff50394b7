import Configuration

/// `confab config check`: reports every problem that would keep `serve` from starting.
enum ConfigCommand {
    static func check(_ options: ServeOptions) -> Int32 {
        for warning in options.warnings { Program.printError("confab: warning: \(warning)") }
        if options.anonymous, !options.listen.isLoopback {
            Program.printError(
                """
                confab: warning: anonymous: every client that reaches \(options.listen) may \
                connect without a token
                """
            )
        }
        let problems = options.fileProblems { _, path in
            do throws(FileProblem) {
                _ = try FileProblem.read(path)
                return nil
            } catch {
                return error.description
            }
        }
        for problem in problems { Program.printError(problem.description) }
        guard problems.isEmpty else { return UsageError.exitStatus }
        let keys = NodeKeys(options)
        do throws(NodeKeys.KeyProblem) {
            if options.adminTokenFile != nil { _ = try keys.adminTokens() }
            if options.clusterKeyFile != nil { _ = try keys.dialectSecret() }
            if keys.hasConfiguredKeys { _ = try keys.load() } else { try keys.checkCertificate() }
        } catch {
            Program.printError("confab: \(error)")
            return UsageError.exitStatus
        }
        for warning in keys.warnings { Program.printError("confab: warning: \(warning)") }
        let obstacles = StartCheck.problems(options, keys)
        for obstacle in obstacles { Program.printError("confab: \(obstacle.message)") }
        guard obstacles.isEmpty else {
            // Local problems determine the exit status before those of Redis.
            return [UsageError.exitStatus, 1].first { status in
                obstacles.contains { $0.status == status }
            } ?? 3
        }
        Program.write("the configuration is valid\n")
        return 0
    }
}

import Glibc
import TestKit
import TestTraits
import Testing

/// An invalid command line, and a word that the error must contain.
struct InvalidCommandLine: Sendable, CustomTestStringConvertible {
    let arguments: [String]
    let expectedWord: String
    var testDescription: String { self.arguments.joined(separator: " ") }
}

private let mistakes = [
    InvalidCommandLine(arguments: ["serv"], expectedWord: "serve"),
    InvalidCommandLine(arguments: ["serve", "--lissen", "127.0.0.1:0"], expectedWord: "--listen"),
    InvalidCommandLine(arguments: ["serve", "--listen", "nowhere"], expectedWord: "--listen"),
    InvalidCommandLine(
        arguments: ["serve", "--listen", "127.0.0.1:99999"], expectedWord: "--listen"),
    InvalidCommandLine(arguments: ["serve", "--listen"], expectedWord: "--listen"),
    InvalidCommandLine(arguments: ["serve", "--loops", "0"], expectedWord: "--loops"),
    InvalidCommandLine(arguments: ["serve", "--store", "mysql:x"], expectedWord: "--store"),
    InvalidCommandLine(
        arguments: ["serve", "--limit", "content-byte=1"], expectedWord: "content-bytes"),
    InvalidCommandLine(
        arguments: ["serve", "--limit", "content-bytes=none"], expectedWord: "content-bytes"),
    InvalidCommandLine(
        arguments: ["serve", "--admin", "0.0.0.0:0"], expectedWord: "--admin-token-file"),
    InvalidCommandLine(arguments: ["serve", "--tls-cert", "cert.pem"], expectedWord: "--tls-key"),
    InvalidCommandLine(
        arguments: ["serve", "--config", "missing.json"], expectedWord: "missing.json"),
    InvalidCommandLine(
        arguments: ["serve", "--jwt-secret-file", "missing.secret"],
        expectedWord: "missing.secret"),
    InvalidCommandLine(
        arguments: ["serve", "--admin-token-file", "missing.token"],
        expectedWord: "--admin-token-file: missing.token: No such file"),
    InvalidCommandLine(
        arguments: ["serve", "--admin-token-file", "/dev/null"],
        expectedWord: "--admin-token-file: /dev/null: is empty"),
    InvalidCommandLine(
        arguments: ["config", "check", "--admin-token-file", "/dev/null"],
        expectedWord: "--admin-token-file: /dev/null: is empty"),
    InvalidCommandLine(
        arguments: [
            "serve", "--store", "memory:", "--admin", "off", "--listen", "127.0.0.1:0",
            "--cluster-key-file", "missing.key",
        ],
        expectedWord: "--cluster-key-file: missing.key: No such file"),
    InvalidCommandLine(
        arguments: [
            "serve", "--store", "memory:", "--admin", "off", "--listen", "127.0.0.1:0",
            "--cluster-key-file", "/dev/null",
        ],
        expectedWord: "--cluster-key-file: /dev/null: has 0 bytes"),
    InvalidCommandLine(
        arguments: ["config", "check", "--cluster-key-file", "/dev/null"],
        expectedWord: "--cluster-key-file: /dev/null: has 0 bytes"),
    InvalidCommandLine(arguments: ["serve", "more"], expectedWord: "more"),
    InvalidCommandLine(arguments: ["token"], expectedWord: "--sub"),
    InvalidCommandLine(arguments: ["token", "--sub", "alice"], expectedWord: "--secret-file"),
    InvalidCommandLine(arguments: ["chat"], expectedWord: "URL"),
    InvalidCommandLine(arguments: ["chat", "gopher://127.0.0.1/"], expectedWord: "URL"),
    InvalidCommandLine(
        arguments: ["bench", "party", "ws://127.0.0.1:1"], expectedWord: "SCENARIO"),
    InvalidCommandLine(arguments: ["completion", "tcsh"], expectedWord: "SHELL"),
]

@Suite("The command line", .programs, .ownThread)
struct CommandLineTests {
    @Test("reports a mistake in one line and exits with 2", arguments: mistakes)
    func mistake(_ mistake: InvalidCommandLine) throws {
        let folder = try TemporaryFolder()
        let result = try run(Checkout.confab, mistake.arguments, folder: folder.path)
        #expect(result.exitStatus == .exited(2))
        #expect(result.output == "")
        #expect(result.errors.split(separator: "\n").count == 1)
        #expect(result.errors.contains(mistake.expectedWord), "\(result.errors)")
    }

    @Test(
        "has a help page with an example for every subcommand", .long,
        arguments: [
            "serve", "token", "chat", "bench", "status", "nodes", "shards", "owner", "history",
            "tail", "send", "verify", "redis", "drain", "copy",
            "resume", "config check", "config show", "completion",
        ])
    func help(_ command: String) throws {
        let result = try run(
            Checkout.confab, command.split(separator: " ").map(String.init) + ["--help"])
        #expect(result.exitStatus == .exited(0))
        #expect(result.output.contains("confab \(command)"))
        #expect(result.output.contains("xample"))
        #expect(result.errors == "")
    }

    @Test("prints completion scripts that the shells accept", .long)
    func completion() throws {
        let folder = try TemporaryFolder()
        for shell in ["bash", "zsh", "fish"] {
            let script = try run(Checkout.confab, ["completion", shell])
            #expect(script.exitStatus == .exited(0))
            let file = try folder.write(script.output, to: shell)
            // Only bash is installed on every machine.
            guard let program = try? Checkout.program(shell) else { continue }
            #expect(try run(program, ["-n", file]).exitStatus == .exited(0), "\(shell)")
        }
    }

    @Test("completes an option in bash", .long)
    func bashCompletion() throws {
        let script = try run(Checkout.confab, ["completion", "bash"]).output
        let folder = try TemporaryFolder()
        let file = try folder.write(
            script
                + "\nCOMP_WORDS=(confab serve --lis); COMP_CWORD=2; _confab; "
                + "echo \"${COMPREPLY[@]}\"\n",
            to: "try")
        #expect(try run("/bin/bash", [file]).output == "--listen")
    }

    @Test("prefers its own options over the file and the environment", .long)
    func sources() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(
            #"{"history":1,"node-id":"file","log-level":"error"}"#, to: "confab.json")
        let result = try run(
            Checkout.confab,
            ["config", "show", "--output", "json", "--config", file, "--node-id", "line"],
            environment: ["CONFAB_NODE_ID": "environment", "CONFAB_HISTORY": "2"])
        #expect(result.exitStatus == .exited(0))
        #expect(result.output.contains("line"))
        #expect(!result.output.contains("environment\""))
        let checked = try run(
            Checkout.confab,
            ["config", "check", "--config", file, "--listen", "127.0.0.1:0", "--admin", "off"],
            folder: folder.path)
        #expect(checked.exitStatus == .exited(0), "\(checked.errors)")
    }

    @Test("reports a port in use and exits with 1", .long)
    func portInUse() throws {
        let server = try ConfabServer()
        let folder = try TemporaryFolder()
        let result = try run(
            Checkout.confab,
            [
                "serve", "--listen", "127.0.0.1:\(server.port)", "--admin", "off", "--store",
                "memory:",
            ], folder: folder.path)
        #expect(result.exitStatus == .exited(1))
        #expect(result.errors.contains("127.0.0.1:\(server.port)"), "\(result.errors)")
        #expect(result.errors.contains("in use"), "\(result.errors)")
    }

    @Test("reports a foreign file as database, leaves it unchanged, and exits with 1", .long)
    func foreignFile() throws {
        let folder = try TemporaryFolder()
        let text = String(repeating: "This is a letter to my grandmother.\n", count: 200)
        try folder.write(text, to: "letter.db")
        let result = try run(
            Checkout.confab,
            ["serve", "--listen", "127.0.0.1:0", "--admin", "off", "--store", "sqlite:letter.db"],
            folder: folder.path)
        #expect(result.exitStatus == .exited(1))
        #expect(result.errors.contains("letter.db"), "\(result.errors)")
        #expect(try folder.read("letter.db") == text)
    }

    @Test("reports a database in use and exits with 1", .long)
    func lockedDatabase() throws {
        let server = try ConfabServer(store: .sqlite)
        let result = try run(
            Checkout.confab,
            ["serve", "--listen", "127.0.0.1:0", "--admin", "off", "--store", "sqlite:confab.db"],
            folder: server.folder.path)
        #expect(result.exitStatus == .exited(1))
        #expect(result.errors.contains("confab.db"), "\(result.errors)")
        try server.connect("alice").post("undisturbed")
    }

    @Test("prints a token with the requested claims in one line")
    func token() throws {
        let folder = try TemporaryFolder()
        let secret = try folder.write(ConfabServer.secret, to: "secret")
        let result = try run(
            Checkout.confab,
            [
                "token", "--sub", "alice", "--username", "Alice", "--conversations", "1,2", "--ttl",
                "2h", "--secret-file", secret,
            ])
        #expect(result.exitStatus == .exited(0))
        let parts = result.output.split(separator: ".", omittingEmptySubsequences: false)
        #expect(parts.count == 3)
        let claims = try JSONObject(base64URL: String(parts[1]))
        #expect(claims["sub"] == "alice")
        #expect(claims["username"] == "Alice")
        #expect(claims.strings("conversations") == ["1", "2"])
        #expect(abs((claims.number("exp") ?? 0) - Double(time(nil)) - 7200) < 60)
        #expect(!claims.text.contains("aud"))
    }
}

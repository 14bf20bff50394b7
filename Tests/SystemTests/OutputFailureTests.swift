import Glibc
import TestKit
import TestTraits
import Testing

/// Commands whose output cannot be written.
@Suite("Output that cannot be written", .programs, .serialized, .ownThread)
struct OutputFailureTests {
    private static let problem = "confab: the output cannot be written: No space left on device"

    /// Runs a command with its output on /dev/full.
    private func runWithFullDisk(
        _ arguments: [String], environment: [String: String] = [:], input: String? = nil
    ) throws -> (exitStatus: ChildProcess.ExitStatus, errors: String) {
        let result = try run(
            "/bin/sh", ["-c", "exec \"$0\" \"$@\" > /dev/full", Checkout.confab] + arguments,
            environment: environment, folder: "/tmp",
            input: input)
        return (result.exitStatus, result.errors)
    }

    @Test(
        "causes an error and status 1 for every command without a node",
        arguments: [
            ["--help"], ["--version"], ["help"], ["config", "--help"], ["serve", "--help"],
            ["help", "drain"], ["completion", "bash"],
            ["completion", "zsh"], ["completion", "fish"], ["config", "show"],
            ["config", "show", "--output", "json"],
        ])
    func commandsWithoutNode(_ arguments: [String]) throws {
        let result = try self.runWithFullDisk(arguments)
        #expect(result.exitStatus == .exited(1))
        #expect(result.errors == Self.problem)
    }

    @Test("causes an error for a token and a checked configuration", .long)
    func files() throws {
        let folder = try TemporaryFolder()
        let secret = try folder.write(ConfabServer.secret, to: "secret")
        chmod(secret, 0o600)
        let listen = [
            "--listen", "127.0.0.1:0", "--admin", "off", "--store", "sqlite:\(folder.file("a.db"))",
            "--jwt-secret-file", secret,
        ]
        for arguments in [
            ["token", "--sub", "alice", "--secret-file", secret], ["config", "check"] + listen,
        ] {
            let result = try self.runWithFullDisk(arguments)
            #expect(result.exitStatus == .exited(1), "\(arguments)")
            #expect(result.errors == Self.problem, "\(arguments)")
        }
    }

    @Test("causes an error for every operator command, and ends endless ones")
    func operatorCommands() throws {
        let node = try ConfabServer(["--node-id", "n1"], store: .sqlite)
        try node.connect("alice").post("one")
        let environment = ["CONFAB_ADMIN_URL": "http://127.0.0.1:\(node.adminPort)"]
        var commands = [
            ["status"], ["nodes"], ["shards"], ["owner", "lobby"], ["history", "lobby"],
            ["verify", "lobby"],
        ].flatMap { arguments in
            [arguments] + ["json", "csv"].map { arguments + ["--output", $0] }
        }
        commands += [
            ["drain", "n1", "--dry-run", "--force"], ["resume", "n1", "--dry-run"],
            ["send", "lobby", "two", "--as", "ops", "--dry-run"],
            ["send", "lobby", "two", "--as", "ops", "--yes"], ["tail", "lobby", "--after", "0"],
            ["nodes", "--watch", "0.1"],
        ]
        for arguments in commands {
            let result = try self.runWithFullDisk(arguments, environment: environment)
            #expect(result.exitStatus == .exited(1), "\(arguments)")
            #expect(result.errors == Self.problem, "\(arguments)")
        }
    }

    @Test("causes an error for followed events, and for commands that read Redis", .long)
    func cluster() throws {
        let redis = try RedisServer()
        let node = try ConfabServer(["--store", redis.url, "--node-id", "n1"])
        let environment = ["CONFAB_ADMIN_URL": "http://127.0.0.1:\(node.adminPort)"]
        for arguments in [
            ["events"], ["events", "--follow"], ["redis"], ["nodes", "--via", redis.url],
        ] {
            let result = try self.runWithFullDisk(arguments, environment: environment)
            #expect(result.exitStatus == .exited(1), "\(arguments)")
            #expect(result.errors == Self.problem, "\(arguments)")
        }
    }

    @Test("ends a chat and a benchmark", .long)
    func clients() throws {
        let node = try ConfabServer()
        let url = "ws://127.0.0.1:\(node.port)"
        try node.connect("bob").post("one")
        let token = try ConfabServer.token(for: "alice")
        let chat = try self.runWithFullDisk(
            ["chat", "\(url)/conversations/lobby/", "--token", token], input: "two")
        #expect(chat.exitStatus == .exited(1))
        #expect(chat.errors.hasSuffix(Self.problem), "\(chat.errors)")
        let bench = try self.runWithFullDisk([
            "bench", "send", url, "--secret-file", node.folder.file("jwt.secret"), "--connections",
            "2", "--seconds", "0.2", "--warmup",
            "0", "--settle", "0",
        ])
        #expect(bench.exitStatus == .exited(1))
        #expect(bench.errors.hasSuffix(Self.problem), "\(bench.errors)")
    }

    @Test("causes an error if it is closed, and none if the reader has gone")
    func closed() throws {
        let closed = try run("/bin/sh", ["-c", "exec \"$0\" --version >&-", Checkout.confab])
        #expect(closed.exitStatus == .exited(1))
        #expect(closed.errors == "confab: the output cannot be written: Bad file descriptor")
        // The reader closes its end before the command starts. The parent ignores SIGPIPE, as
        // Python does.
        let folder = try TemporaryFolder()
        let script = """
            mkfifo go pipe
            { read line < go; trap "" PIPE; "$0" completion bash; echo "status $?" >&2; } > pipe &
            exec 3< pipe
            exec 3<&-
            echo > go
            wait
            """
        #expect(
            try run("/bin/bash", ["-c", script, Checkout.confab], folder: folder.path).errors
                == "status 1")
    }
}

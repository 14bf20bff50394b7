import Foundation
import Glibc
import TestKit
import TestTraits
import Testing

/// Starts that must fail: `config check` finds the reason, and `serve` leaves no files behind.
@Suite("A start that cannot succeed", .programs, .serialized, .ownThread)
struct StartTests {
    private let folder: TemporaryFolder

    init() throws { self.folder = try TemporaryFolder() }

    private var files: [String] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: self.folder.path).sorted()
        }
    }

    /// Runs the check and the start with the same options. Both must name the reason and leave no
    /// files behind.
    private func expectRefusal(
        _ options: [String], status: Int32 = 1, checkStatus: Int32 = 1, because texts: String...
    ) throws {
        let before = try self.files
        let all = ["--listen", "127.0.0.1:0", "--admin", "off"] + options
        let check = try run(Checkout.confab, ["config", "check"] + all, folder: self.folder.path)
        #expect(check.exitStatus == .exited(checkStatus), "\(options)")
        #expect(try self.files == before, "config check \(options)")
        let start = try run(Checkout.confab, ["serve"] + all, folder: self.folder.path)
        #expect(start.exitStatus == .exited(status), "\(options)")
        #expect(try self.files == before, "serve \(options)")
        for result in [check, start] {
            #expect(result.output == "")
            for word in texts {
                #expect(result.errors.contains(word), "\(options): \(result.errors)")
            }
        }
    }

    @Test("names the missing folder of the database", .long)
    func missingFolder() throws {
        try self.expectRefusal(
            ["--store", "sqlite:no/such/chat.db"],
            because: "--store: no/such/chat.db: the folder no/such does not exist")
    }

    @Test("names a database file of another program or a newer Confab")
    func foreignFile() throws {
        try self.folder.write(
            String(repeating: "This is a letter to my grandmother.\n", count: 200), to: "letter.db")
        try self.expectRefusal(
            ["--store", "sqlite:letter.db"], because: "letter.db", "not a SQLite database")
        let server = try ConfabServer(store: .sqlite)
        try server.connect("alice").post("one")
        #expect(try server.stop() == .exited(0))
        var data = try Data(contentsOf: URL(fileURLWithPath: server.folder.file("confab.db")))
        data.replaceSubrange(60..<64, with: [0, 0, 0, 99])
        try data.write(to: URL(fileURLWithPath: self.folder.file("newer.db")))
        try self.expectRefusal(
            ["--store", "sqlite:newer.db"],
            because: "newer.db: it was written by a newer Confab (layout 99)")
        data.replaceSubrange(68..<72, with: [1, 2, 3, 4])
        try data.write(to: URL(fileURLWithPath: self.folder.file("other.db")))
        try self.expectRefusal(
            ["--store", "sqlite:other.db"], because: "other.db: it is not a Confab database")
        try FileManager.default.createDirectory(
            atPath: self.folder.file("folder.db"), withIntermediateDirectories: false)
        try self.expectRefusal(
            ["--store", "sqlite:folder.db"], because: "folder.db: it is not a file")
    }

    @Test(
        "names a port and a database in use, both at once in the check")
    func portOrDatabaseInUse() throws {
        let server = try ConfabServer(store: .sqlite)
        let port = "127.0.0.1:\(server.port)"
        // The database and the secret that the start created are removed.
        try self.expectRefusal(
            ["--listen", port, "--store", "sqlite:a.db"], because: port, "in use")
        try self.expectRefusal(
            ["--admin", "127.0.0.1:\(server.adminPort)", "--store", "sqlite:a.db"],
            because: "127.0.0.1:\(server.adminPort)")
        try self.expectRefusal(["--listen", port, "--store", "memory:"], because: port, "in use")
        let database = server.folder.file("confab.db")
        let secret = server.folder.file("jwt.secret")
        try self.expectRefusal(
            ["--store", "sqlite:\(database)", "--jwt-secret-file", secret], because: database,
            "in use by another process")
        let check = try run(
            Checkout.confab,
            [
                "config", "check", "--listen", port, "--admin", "off", "--store",
                "sqlite:\(database)",
            ],
            folder: self.folder.path)
        #expect(
            check.errors.contains("--listen: ") && check.errors.contains("--store: "),
            "\(check.errors)")
        // A failed start does not change existing files.
        let other = try ConfabServer(store: .sqlite)
        try other.connect("alice").post("kept")
        #expect(try other.stop() == .exited(0))
        let failed = try run(
            Checkout.confab,
            ["serve", "--listen", port, "--admin", "off", "--store", "sqlite:confab.db"],
            folder: other.folder.path)
        #expect(failed.exitStatus == .exited(1))
        let again = try ConfabServer(store: .sqlite, in: other.folder)
        #expect(
            try again.connect("alice", query: "after=0").next("chat_message").object("message")?[
                "content"] == "kept")
    }

    @Test("is found by the check if Redis does not answer or rejects the password")
    func unreachableRedis() throws {
        let secret = try self.folder.write(ConfabServer.secret, to: "jwt.secret")
        let redis = try RedisServer(["--requirepass", "right"])
        func check(_ url: String) throws -> (
            exitStatus: ChildProcess.ExitStatus, output: String, errors: String
        ) {
            try run(
                Checkout.confab,
                [
                    "config", "check", "--listen", "127.0.0.1:0", "--admin", "off",
                    "--jwt-secret-file", secret, "--store", url,
                ],
                folder: self.folder.path)
        }
        let nowhere = try check("redis://127.0.0.1:\(freePort())")
        #expect(
            nowhere.exitStatus == .exited(3) && nowhere.errors.contains("refuses the connection"),
            "\(nowhere)")
        for (user, word) in [("", "NOAUTH"), (":wrong@", "WRONGPASS")] {
            let refused = try check("redis://\(user)127.0.0.1:\(redis.port)")
            #expect(refused.exitStatus != .exited(0) && refused.errors.contains(word), "\(refused)")
        }
        let good = try check("redis://:right@127.0.0.1:\(redis.port)")
        #expect(
            good.exitStatus == .exited(0) && good.output == "the configuration is valid", "\(good)")
    }

    @Test("logs a JSON event if the log format is JSON")
    func jsonLogEvent() throws {
        let server = try ConfabServer()
        let port = "127.0.0.1:\(server.port)"
        let config = try self.folder.write(#"{"log-format":"json","history":-1}"#, to: "bad.json")
        let good = try self.folder.write(#"{"log-format":"json"}"#, to: "good.json")
        let json = ["--log-format", "json"]
        let environment = ["CONFAB_LOG_FORMAT": "json"]
        let start = ["serve", "--listen", port, "--admin", "off", "--store", "memory:"]
        let cases:
            [(arguments: [String], environment: [String: String], status: Int32, reason: String)] =
                [
                    (start + json, [:], 1, "in use"),
                    (start, environment, 1, "in use"),
                    (start + ["--config", good], [:], 1, "in use"),
                    (
                        ["serve", "--store", "sqlite:no/such.db"] + json, [:], 1,
                        "the folder no does not exist"
                    ),
                    (["serve", "--listen", "nowhere"] + json, [:], 2, "--listen"),
                    (["serve", "--log-format=json", "--lissen", "x"], [:], 2, "--lissen"),
                    (["serve", "--listen", "nowhere"], environment, 2, "--listen"),
                    (["serve", "--config", config], [:], 2, "history"),
                    (["serve", "--jwt-secret-file", "missing"] + json, [:], 2, "missing"),
                ]
        for (arguments, environment, status, reason) in cases {
            let result = try run(
                Checkout.confab, arguments, environment: environment, folder: self.folder.path)
            #expect(result.exitStatus == .exited(status), "\(arguments)")
            let events = try result.errors.split(separator: "\n").map { try JSONObject(String($0)) }
            #expect(
                events.last?["level"] == "error" && events.last?["msg"] == "fatal",
                "\(result.errors)")
            #expect(events.last?["reason"]?.contains(reason) == true, "\(result.errors)")
            #expect(events.last?["reason"]?.hasPrefix("confab: ") == false)
        }
        // The command line has priority, and the text format is for people.
        let text = try run(
            Checkout.confab, ["serve", "--log-format", "text", "--listen", "nowhere"],
            environment: environment, folder: self.folder.path)
        #expect(text.errors.hasPrefix("confab: --listen"), "\(text.errors)")
    }
}

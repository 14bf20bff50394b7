import Foundation
import TestKit
import TestTraits
import Testing

/// The README's tour, with only host and port replaced.
@Suite("The README", .programs, .ownThread)
struct ReadmeTests {
    private let page: MarkdownPage

    init() throws {
        self.page = try MarkdownPage("README.md")
    }

    private func blocks(_ language: String) -> [String] {
        self.page.blocks.filter { $0.language == language }.map(\.text)
    }

    /// The block in this language that contains this text.
    private func block(_ language: String, with text: String) throws -> String {
        guard let block = self.blocks(language).first(where: { $0.contains(text) }) else {
            throw TestFailure("the README has no \(language) block with \(text)")
        }
        return block
    }

    @Test("starts with its two commands, and both exist")
    func commands() {
        #expect(self.blocks("sh").prefix(2) == ["script/server", "script/test"])
        for command in self.blocks("sh").prefix(2) {
            #expect(access(Checkout.file(command), X_OK) == 0)
        }
    }

    @Test("connects three users: a terminal, a script and a browser")
    func tour() throws {
        let folder = try TemporaryFolder()
        // The place where script/server puts the program, and the program that it starts.
        try FileManager.default.createDirectory(
            atPath: folder.file(".build/release"), withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: folder.file(".build/release/confab"), withDestinationPath: Checkout.confab)
        let server = try ChildProcess(
            Checkout.confab, ["serve", "--listen", "127.0.0.1:0", "--admin", "off"],
            folder: folder.path)
        defer { server.kill() }
        let ready = try server.errors.line(with: "confab ready")
        let address = "127.0.0.1:\(ready.firstMatch(of: /127\.0\.0\.1:([0-9]+)/)?.1 ?? "")"
        func here(_ text: String) -> String { text.replacing("127.0.0.1:8080", with: address) }

        let tokens = try self.block("sh", with: "--database confab.db > alice.jwt")
        let result = try run("/bin/sh", ["-e", "-c", tokens], folder: folder.path)
        #expect(result.exitStatus == .exited(0), "\(result.errors)")
        func open(_ command: String) throws -> ChildProcess {
            let python = try URL(fileURLWithPath: Checkout.python()).deletingLastPathComponent()
            let path = "\(python.path):/usr/bin:/bin"
            let script = "export PATH=\"$PWD/.build/release:\(path)\"\nexec " + here(command)
            return try ChildProcess("/bin/sh", ["-c", script], folder: folder.path)
        }

        let alice = try open(self.block("sh", with: "confab chat"))
        defer { alice.kill() }
        try alice.writeLine("Is anybody there?")
        // Alice needs some time to join, and Bob could otherwise join first.
        try alice.output.line(with: "Alice: Is anybody there?")

        try folder.write(here(self.block("python", with: "websockets")), to: "bob.py")
        let bob = try open(self.block("sh", with: "bob.py"))
        defer { bob.kill() }
        try bob.output.line(with: "alice: Is anybody there?")
        try alice.output.line(with: "Hello, this is Bob.")

        let carol = try Browser().open("http://\(address)/api/health")
        try carol.evaluate("const heard = []; console.log = (line) => heard.push(line);")
        let token = try folder.read("carol.jwt").trimmingCharacters(in: .newlines)
        try carol.evaluate(self.block("js", with: "WebSocket").replacing("TOKEN", with: token))
        _ = try carol.runFunctionBody(
            "while (ws.readyState === 0) await new Promise((r) => setTimeout(r, 10)); return 'open'"
        )
        try carol.evaluate(self.block("js", with: "say(\""))
        try alice.output.line(with: "Hello from a browser")
        try bob.output.line(with: "carol: Hello from a browser")

        try alice.writeLine("Welcome, both of you.")
        try bob.output.line(with: "alice: Welcome, both of you.")
        let received = try carol.runFunctionBody(
            "while (heard.length < 4) await new Promise((r) => setTimeout(r, 10)); "
                + "return heard.join('|')"
        )
        #expect(
            received
                == "alice: Is anybody there?|bob: Hello, this is Bob.|carol: "
                + "Hello from a browser|alice: Welcome, both of you."
        )
    }

    @Test(
        "continues with two users on two nodes, and a kill that loses and repeats nothing", .long
    )
    func severalNodes() throws {
        let data = try TemporaryFolder()
        let port = try freePort()
        func here(_ text: String) -> String {
            text.replacing("127.0.0.1:8080", with: "127.0.0.1:\(port)").replacing(
                "--port 8080", with: "--port \(port)"
            )
            .replacing("/tmp/several", with: data.path)
            .replacing("script/cluster 3", with: "script/cluster --admin-port 0 3")
        }
        let cluster = try LocalCluster(
            command: here(self.block("sh", with: "script/cluster 3")), in: data)
        #expect(cluster.services.map(\.name) == ["redis", "n1", "n2", "n3", "haproxy"])
        #expect(cluster.port == port)

        let folder = try TemporaryFolder()
        try FileManager.default.createSymbolicLink(
            atPath: folder.file("confab"), withDestinationPath: Checkout.confab)
        let python = try URL(fileURLWithPath: Checkout.python()).deletingLastPathComponent()
        let path = "\(folder.path):\(python.path):/usr/bin:/bin"
        let tokens = try here(self.block("sh", with: "/tmp/several/jwt.secret"))
        let result = try run(
            "/bin/sh", ["-e", "-c", tokens], environment: ["PATH": path], folder: folder.path)
        #expect(result.exitStatus == .exited(0), "\(result.errors)")
        try folder.write(here(self.block("python", with: "unanswered")), to: "talk.py")
        func open(_ user: String) throws -> ChildProcess {
            let command = try self.block("sh", with: "talk.py \(user)")
            return try ChildProcess(
                "/bin/sh", ["-c", "exec \(command)"], environment: ["PATH": path],
                folder: folder.path)
        }

        let alice = try open("alice")
        defer { alice.kill() }
        let home = try #require(
            cluster.awaitConnections(count: 1).first { $0.connections == 1 }?.node)
        let bob = try open("bob")
        defer { bob.kill() }
        #expect(try cluster.awaitConnections(count: 2).map(\.connections).sorted() == [0, 1, 1])
        try alice.writeLine("Hello, Bob.")
        try bob.output.line(with: "alice: Hello, Bob.")
        try bob.writeLine("Hello, Alice.")
        try alice.output.line(with: "bob: Hello, Alice.")

        let kill = try self.block("sh", with: "kill -9").replacing("PID", with: "\(home.process)")
        #expect(try run("/bin/sh", ["-c", kill]).exitStatus == .exited(0))
        for number in 1...20 {
            try alice.writeLine("A\(number)")
            try bob.writeLine("B\(number)")
        }
        for client in [alice, bob] {
            try client.output.line(with: "alice: A20")
            try client.output.line(with: "bob: B20")
        }
        #expect(alice.output.lines == bob.output.lines)
        let expected =
            (1...20).flatMap { ["alice: A\($0)", "bob: B\($0)"] } + [
                "alice: Hello, Bob.", "bob: Hello, Alice.",
            ]
        #expect(alice.output.lines.sorted() == expected.sorted())
        for user in ["alice", "bob"] {
            let ownLines = alice.output.lines.filter { $0.hasPrefix(user) }
            #expect(
                ownLines.dropFirst()
                    == (1...20).map { "\(user): \(user == "alice" ? "A" : "B")\($0)" }[...])
        }
        try cluster.awaitRestart(of: home)

        #expect(try cluster.stop() == .exited(0))
        #expect(try !LocalCluster.isRunning(in: data))
    }
}

import Configuration
import Dialects
import Foundation
import TestKit
import TestTraits
import Testing

@Suite("The client commands", .programs, .ownThread)
struct ClientCommandTests {
    private func chat(_ user: String, _ server: ConfabServer, port: UInt16? = nil) throws
        -> ChildProcess
    {
        let token = try server.folder.write(
            ConfabServer.token(for: user, name: user.capitalized), to: "\(user).jwt")
        let url = "ws://127.0.0.1:\(port ?? server.port)/conversations/lobby/"
        return try ChildProcess(
            Checkout.confab, ["chat", url, "--token-file", token], folder: server.folder.path)
    }

    @Test(
        "exchange messages through pipes, and fetch the history on request"
    )
    func pipes() throws {
        let server = try ConfabServer()
        let alice = try self.chat("alice", server)
        defer { alice.kill() }
        try alice.writeLine("first, alone")
        try alice.output.line(with: "first, alone")
        let bob = try self.chat("bob", server)
        defer { bob.kill() }
        try bob.writeLine("/history 10")
        try bob.output.line(with: "first, alone")

        try bob.writeLine("grüß dich 👋")
        try alice.output.line(with: "grüß dich 👋")
        try bob.output.line(with: "grüß dich 👋")
    }

    @Test("send the lines of a file, wait for the answers, and exit with 0", .long)
    func file() throws {
        let server = try ConfabServer()
        let lines = (1...20).map { "line \($0)" }
        let chat = try self.chat("alice", server)
        defer { chat.kill() }
        for line in lines { try chat.writeLine(line) }
        chat.closeInput()
        #expect(try chat.waitForExit() == .exited(0))
        #expect(try server.connect("bob").wholeHistory().map { $0["content"] } == lines)
    }

    @Test("survive a crash of the server, and deliver meanwhile typed lines once", .long)
    func reconnect() throws {
        let port = try freePort()
        let server = try ConfabServer(["--listen", "127.0.0.1:\(port)"], store: .sqlite)
        let alice = try self.chat("alice", server)
        defer { alice.kill() }
        try alice.writeLine("before")
        try alice.output.line(with: "before")

        try server.crash()
        try alice.writeLine("while it was away")
        let revived = try ConfabServer(
            ["--listen", "127.0.0.1:\(port)"], store: .sqlite, in: server.folder)
        try alice.output.line(with: "while it was away", within: .seconds(60))
        try alice.writeLine("after")
        try alice.output.line(with: "after")

        let contents = try revived.connect("bob").wholeHistory().map { $0["content"] }
        #expect(contents == ["before", "while it was away", "after"])
    }

    @Test("report a refusal and exit with 1", .long)
    func refusal() throws {
        let server = try ConfabServer()
        let token = try ConfabServer.token(for: "alice", conversations: ["elsewhere"])
        let url = "ws://127.0.0.1:\(server.port)/conversations/lobby/"
        let result = try run(
            Checkout.confab, ["chat", url, "--token", token], folder: server.folder.path)
        #expect(result.exitStatus == .exited(1))
        #expect((result.output + result.errors).contains("access denied"))
        #expect(!(result.output + result.errors).contains(token))
    }

    @Test(
        "count every delivery of every bench scenario",
        arguments: TestRun.isLong
            ? ["broadcast", "groups", "idle", "connect", "send"] : ["broadcast"])
    func scenario(_ scenario: String) throws { try self.bench(scenario, adapter: "confab") }

    @Test(
        "count every delivery of bench in every protocol",
        arguments: DialectList.all.choices.adapterNames.filter { !["confab", "raw"].contains($0) })
    func protocols(_ adapter: String) throws { try self.bench("groups", adapter: adapter) }

    private func bench(_ scenario: String, adapter: String) throws {
        let server = try ConfabServer([
            "--limit", "messages-per-second=1000000", "--limit", "message-burst=1000000", "--limit",
            "connects-per-second=1000000",
        ])
        let options = [
            "--connections", "40", "--groups", "4", "--seconds", "1", "--warmup", "0", "--settle",
            "0", "--output", "json",
            "--secret-file", server.folder.file("jwt.secret"), "--adapter", adapter,
        ]
        let result = try run(
            Checkout.confab, ["bench", scenario, "ws://127.0.0.1:\(server.port)"] + options,
            folder: server.folder.path,
            within: .seconds(60))
        #expect(result.exitStatus == .exited(0), "\(result.output)\(result.errors)")
        _ = try JSONObject(result.output)
    }
}

import Foundation
import TestKit
import Testing

/// The README's tour, taken as it is printed but for host and port.
@Suite("The README")
struct ReadmeTests {
    private let page: MarkdownPage

    init() throws {
        self.page = try MarkdownPage("README.md")
    }

    private func blocks(_ language: String) -> [String] {
        self.page.blocks.filter { $0.language == language }.map(\.text)
    }

    /// The block of this language that has this text in it.
    private func block(_ language: String, with text: String) throws -> String {
        guard let block = self.blocks(language).first(where: { $0.contains(text) }) else {
            throw TestFailure("the README has no \(language) block with \(text)")
        }
        return block
    }

    @Test("begins with its two commands, and both are programs")
    func commands() {
        #expect(self.blocks("sh").prefix(2) == ["script/server", "script/test"])
        for command in self.blocks("sh").prefix(2) { #expect(access(Checkout.file(command), X_OK) == 0) }
    }

    @Test("ends with three people who hear each other: a terminal, a script and a browser")
    func tour() throws {
        let folder = try TemporaryFolder()
        // Where script/server puts the program, and what it starts.
        try FileManager.default.createDirectory(atPath: folder.file(".build/release"), withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: folder.file(".build/release/confab"), withDestinationPath: Checkout.confab)
        let server = try ChildProcess(
            Checkout.confab, ["serve", "--listen", "127.0.0.1:0", "--admin", "off"], folder: folder.path)
        defer { server.kill() }
        let ready = try server.errors.line(with: "confab ready")
        let address = "127.0.0.1:\(ready.firstMatch(of: /127\.0\.0\.1:([0-9]+)/)?.1 ?? "")"
        func here(_ text: String) -> String { text.replacing("127.0.0.1:8080", with: address) }

        let tokens = try self.block("sh", with: "> alice.jwt")
        let made = try run("/bin/sh", ["-e", "-c", tokens], folder: folder.path)
        #expect(made.ending == .exited(0), "\(made.errors)")
        func open(_ command: String) throws -> ChildProcess {
            let path = try "\(URL(fileURLWithPath: Checkout.python()).deletingLastPathComponent().path):/usr/bin:/bin"
            let script = "export PATH=\"$PWD/.build/release:\(path)\"\nexec " + here(command)
            return try ChildProcess("/bin/sh", ["-c", script], folder: folder.path)
        }

        let alice = try open(self.block("sh", with: "confab chat"))
        defer { alice.kill() }
        try alice.type("Is anybody there?")

        try folder.write(here(self.block("python", with: "websockets")), to: "bob.py")
        let bob = try open(self.block("sh", with: "bob.py"))
        defer { bob.kill() }
        try bob.output.line(with: "alice: Is anybody there?")
        try alice.output.line(with: "Hello, this is Bob.")

        let carol = try Browser().open("http://\(address)/api/health")
        try carol.type("const heard = []; console.log = (line) => heard.push(line);")
        let token = try folder.read("carol.jwt").trimmingCharacters(in: .newlines)
        try carol.type(self.block("js", with: "WebSocket").replacing("TOKEN", with: token))
        _ = try carol.run("while (ws.readyState === 0) await new Promise((r) => setTimeout(r, 10)); return 'open'")
        try carol.type(self.block("js", with: "say(\""))
        try alice.output.line(with: "Hello from a browser")
        try bob.output.line(with: "carol: Hello from a browser")

        try alice.type("Welcome, both of you.")
        try bob.output.line(with: "alice: Welcome, both of you.")
        let heard = try carol.run("while (heard.length < 4) await new Promise((r) => setTimeout(r, 10)); return heard.join('|')")
        #expect(heard == "alice: Is anybody there?|bob: Hello, this is Bob.|carol: Hello from a browser|alice: Welcome, both of you.")
    }
}

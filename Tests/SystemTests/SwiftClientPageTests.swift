import Foundation
import TestKit
import TestTraits
import Testing

/// The example of `docs/clients/swift.md` is `Tests/ClientSample`, which every build compiles.
@Suite("The page about the Swift client", .programs, .ownThread)
struct SwiftClientPageTests {
    @Test("prints the bot that is built, and the bot answers")
    func bot() throws {
        let page = try MarkdownPage("docs/clients/swift.md")
        let sample = try Checkout.read("Tests/ClientSample/main.swift")
        #expect(page.blocks.contains { $0.language == "swift" && $0.text + "\n" == sample })

        let server = try ConfabServer()
        let bot = try ChildProcess(
            Checkout.built("ClientSample"),
            environment: [
                "CONFAB_URL": "http://127.0.0.1:\(server.port)",
                "CONFAB_TOKEN": try ConfabServer.token(for: "bot", conversations: ["lobby"]),
            ])
        defer { bot.kill() }
        let alice = try server.connect("alice")
        try Deadline.wait(
            for: "the answer of the bot; its errors: \(bot.errors.text)",
            untilTrue: {
                // The bot does not answer a message that was posted before it joined.
                try alice.post("Hello")
                usleep(300_000)
                return try alice.wholeHistory().contains {
                    $0["sender_id"] == "bot" && $0["content"] == "You said: Hello"
                }
            })
    }
}

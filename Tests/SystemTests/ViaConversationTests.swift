import Glibc
import TestKit
import TestTraits
import Testing

@Suite("Conversations and events with --via", .long, .programs, .ownThread)
struct ViaConversationTests {
    @Test("match the nodes' answers, and are read after all nodes were killed")
    func conversations() throws {
        let redis = try RedisServer()
        let node = try ConfabServer(["--store", redis.url, "--node-id", "n1"])
        let alice = try node.connect("alice")
        for number in 1...5 { try alice.post("message \(number)") }
        try alice.send(#"{"action":"edit_message","message_id":"2","content":"edited: äöü"}"#)
        _ = try alice.next("message.edited")

        func documents(_ arguments: [String], at port: UInt16? = nil) throws -> String {
            let source = port == nil ? ["--via", redis.url] : []
            let result = try confab(
                arguments + ["--output", "json"] + source, at: port ?? freePort())
            #expect(result.status == 0, "\(result)")
            return result.output
        }
        for arguments in [
            ["history", "lobby"], ["history", "lobby", "--last", "2"],
            ["history", "lobby", "--after", "3"], ["events"],
        ] {
            #expect(try documents(arguments) == documents(arguments, at: node.adminPort))
        }
        try node.crash()
        let history = try confab(
            "history", "lobby", "--via", redis.url, "--output", "json", at: freePort()
        ).rows("messages")
        #expect(
            history.map { $0["content"] } == [
                "message 1", "edited: äöü", "message 3", "message 4", "message 5",
            ])
        let whole = try confab("verify", "lobby", "--via", redis.url, at: freePort())
        #expect(whole.status == 0 && whole.output.contains("The stream is complete."), "\(whole)")

        let owner = try confab(
            "owner", "lobby", "--via", redis.url, "--output", "json", at: freePort())
        let shard = Int(try #require(owner.document.number("shard")))
        try redis.execute("XDEL", "confab:{s\(shard)}:log:default:lobby", "3-0")
        let broken = try confab("verify", "lobby", "--via", redis.url, at: freePort())
        #expect(broken.status == 1 && broken.output.contains("! message 3 is missing"), "\(broken)")
        for verb in ["history", "verify"] {
            let unknown = try confab(verb, "nowhere", "--via", redis.url, at: freePort())
            #expect(unknown.status == 1)
            #expect(
                unknown.errors == "confab: There is no conversation nowhere in tenant default.")
        }
        #expect(try confab("verify", "--all", "--via", redis.url, at: freePort()).status == 2)
    }
}

import Foundation
import TestKit
import TestTraits
import Testing

/// The limits of one user, with nodes as processes.
@Suite("The limits of a user", .programs, .serialized, .ownThread)
struct UserLimitTests {
    @Test("hold in a conversation over all nodes")
    func cluster() throws {
        let redis = try RedisServer()
        let servers = try ["n1", "n2"].map {
            try ConfabServer([
                "--store", redis.url, "--node-id", $0, "--limit", "messages-per-second=1",
                "--limit", "message-burst=100",
            ])
        }
        try servers[0].awaitShardBalance(of: 2)
        var stored = 0
        for (node, server) in servers.enumerated() {
            let client = try server.connect("ann")
            for number in 0..<80 {
                try client.sendMessage("\(number)", as: "\(node)-\(number)")
            }
            var answers = 0
            while answers < 80 {
                let frame = try client.next()
                switch frame["type"] {
                case "chat_message":
                    answers += 1
                    stored += 1
                case "message.failed":
                    #expect(frame["error"] == "rate limited")
                    #expect(frame.number("retry_after") != nil)
                    answers += 1
                default: break
                }
            }
        }
        // The burst, with one second more, and as many as there were seconds in this test.
        #expect(stored >= 101 && stored < 150, "\(stored)")
    }

    @Test("count over connections, one after the other, and an operator sees the flood that ends")
    func connections() throws {
        let server = try ConfabServer([
            "--limit", "messages-per-second=1", "--limit", "message-burst=20",
        ])
        var stored = 0
        // New connections have the same limit, and a burst of their own.
        for number in 0..<15 {
            let client = try server.connect("ann")
            for part in 0..<3 {
                try client.sendMessage("\(number)", as: "\(number).\(part)")
                while true {
                    let frame = try client.next()
                    if frame["type"] == "message.failed" { break }
                    guard frame["type"] == "chat_message" else { continue }
                    stored += 1
                    break
                }
            }
            try client.socket.close()
        }
        #expect(stored >= 20 && stored < 35, "\(stored)")
    }

    @Test("end a flood after ten seconds with 4429, while others are served", .long)
    func flood() throws {
        let server = try ConfabServer()
        let bob = try server.connect("bob")
        let flood = try server.connect("ann")
        let frames = [UInt8](
            repeatElement(
                RawWebSocketClient.frame(
                    opcode: 1, Array(#"{"action":"typing","is_typing":true}"#.utf8)), count: 1000
            ).joined())
        // The burst, as many free refusals, and then the limit: they last for 16 seconds.
        try flood.socket.stream.send(frames)
        var refused = 0
        var end: RawWebSocketClient.Event?
        while end == nil {
            switch try flood.socket.next(within: .seconds(30)) {
            case .text(let text) where text.contains("rate limited"):
                refused += 1
                if refused % 20 == 0 { try bob.post("still here") }
            case .close(let code, let reason): end = .close(code: code, reason: reason)
            case .end: end = .end
            default: break
            }
        }
        try bob.post("still here")
        let reason = "rate limited: you went on sending above your limit"
        #expect(end == .close(code: 4429, reason: reason))
        #expect(refused < 1000, "\(refused)")
        #expect(server.process.errors.text.contains("flooding client closed"))
    }
}

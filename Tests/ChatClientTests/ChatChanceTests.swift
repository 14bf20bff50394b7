import EventLoop
import RepeatableChance
import Testing

@testable import ChatClient

/// A server of one conversation between which and the chat everything may go wrong: frames are lost with the connection, in both directions,
/// sends are refused for their rate, and others talk as well.
private struct UnreliableServer {
    var messages: [(id: Int, sender: String, content: String, localID: String?)] = []
    /// On their way to the chat; nil while there is no connection.
    var outbound: [String]?

    mutating func connect(after: Int?) {
        self.outbound = []
        guard let after else { return }
        for message in self.messages where message.id > after { self.outbound?.append(Self.frame(message)) }
    }

    mutating func take(_ text: String, using chance: inout SeededGenerator) {
        guard self.outbound != nil else { return }
        if text.contains("fetch_messages") {
            let limit = text.contains("\"limit\":20") ? 20 : 1
            self.outbound?.append(SessionStage.page(self.messages.suffix(limit).reversed().map { ($0.id, $0.sender, $0.content) }))
        } else if text.contains("send_message") {
            let parts = text.split(separator: "\"").map(String.init)
            let (content, localID) = (parts[7], parts[11])
            if let known = self.messages.first(where: { $0.localID == localID }) {
                self.outbound?.append(Self.frame(known))
            } else if Int.random(in: 0..<5, using: &chance) == 0 {
                self.outbound?.append(SessionStage.failed(localID, "rate limited", retryAfter: "0.20"))
            } else {
                self.post("alice", content, localID)
            }
        }
    }

    mutating func post(_ sender: String, _ content: String, _ localID: String? = nil) {
        self.messages.append((self.messages.count + 1, sender, content, localID))
        self.outbound?.append(Self.frame(self.messages[self.messages.count - 1]))
    }

    private static func frame(_ message: (id: Int, sender: String, content: String, localID: String?)) -> String {
        SessionStage.message(message.id, message.sender, message.content, localID: message.localID)
    }
}

@Suite("A chat over a bad line")
struct ChatChanceTests {
    @Test("stores every line once and in order, and shows every message once and in order", arguments: 0..<100 as Range<UInt64>)
    func everything(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        var server = UnreliableServer()
        for number in 0..<Int.random(in: 0..<4, using: &chance) { server.post("bob", "old\(number)") }
        let isInteractive = Bool.random(using: &chance)
        let news = isInteractive ? 0 : server.messages.count
        var stage = SessionStage(isInteractive: isInteractive)
        var shown: [Int] = []
        var typed: [String] = []
        var isConnecting = false

        func carryOut(_ steps: [ChatStep]) {
            var waiting = steps
            while !waiting.isEmpty {
                let step = waiting.removeFirst()
                switch step {
                case .connect(let after):
                    server.connect(after: after)
                    isConnecting = true
                case .send(let text): server.take(text, using: &chance)
                case .show(.message(let message, _)): shown.append(message.id)
                case .show, .close, .drop, .exit: break
                }
            }
        }

        carryOut(stage.start())
        // Not before the first entrance: a connection that never was is not made again.
        carryOut(stage.open())
        isConnecting = false
        while let frame = server.outbound?.first, !stage.session.hasEntered {
            server.outbound?.removeFirst()
            carryOut(stage.hear(frame))
        }
        for turn in 0..<400 {
            let isQuiet = turn >= 300
            switch Int.random(in: 0..<10, using: &chance) {
            case 0 where !isQuiet:
                typed.append("line\(typed.count)")
                carryOut(stage.type(typed[typed.count - 1]))
            case 1 where !isQuiet:
                server.post("bob", "news\(turn)")
            case 2 where !isQuiet && server.outbound != nil:
                server.outbound = nil
                isConnecting = false
                carryOut(stage.lose())
            case 3, 4:
                carryOut(stage.pass(.milliseconds(Int.random(in: 100...20_000, using: &chance) / (isQuiet ? 1 : 20))))
            default:
                if isConnecting {
                    isConnecting = false
                    carryOut(stage.open())
                } else if let frame = server.outbound?.first {
                    server.outbound?.removeFirst()
                    carryOut(stage.hear(frame))
                }
            }
        }
        // The line is good from here on.
        for _ in 0..<2000 {
            if isConnecting {
                isConnecting = false
                carryOut(stage.open())
            } else if let frame = server.outbound?.first {
                server.outbound?.removeFirst()
                carryOut(stage.hear(frame))
            } else {
                carryOut(stage.pass(.seconds(1)))
            }
        }

        #expect(stage.session.outbox.isEmpty)
        #expect(server.messages.filter { $0.sender == "alice" }.map(\.content) == typed)
        #expect(shown == server.messages.map(\.id).filter { $0 > news })
    }
}

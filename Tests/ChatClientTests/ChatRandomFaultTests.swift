import EventLoop
import SeededRandom
import Testing

@testable import ChatClient

@Suite("A chat over a bad line")
struct ChatRandomFaultTests {
    @Test(
        "stores every line once and in order, and shows every message once and in order",
        arguments: ChatDialect.allCases,
        0..<100 as Range<UInt64>)
    func everything(dialect: ChatDialect, seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        var server = UnreliableServer(dialect)
        for number in 0..<Int.random(in: 0..<4, using: &chance) {
            server.post("bob", "old\(number)")
        }
        let isInteractive = Bool.random(using: &chance)
        // Agents have no history that could be shown.
        let news = isInteractive && dialect != .agents ? 0 : server.messages.count
        var stage = ChatSessionFixture(
            isInteractive: isInteractive, user: server.user, speaking: server.client)
        var shown: [Int] = []
        var typed: [String] = []
        var isConnecting = false

        func carryOut(_ steps: [ChatStep]) {
            var waiting = steps
            while !waiting.isEmpty {
                let step = waiting.removeFirst()
                switch step {
                case .connect(let after):
                    server.connect(to: stage.session.dialect.url(after: after))
                    isConnecting = true
                case .send(let text): server.receive(text, using: &chance)
                case .show(.message(let message, _)): shown.append(message.id)
                case .show, .close, .drop, .exit: break
                }
            }
        }

        carryOut(stage.start())
        // Not before the first entrance: a connection that never was is not made again.
        carryOut(stage.open())
        isConnecting = false
        while let frame = server.outbound?.first, !stage.session.hasJoined {
            server.outbound?.removeFirst()
            carryOut(stage.receive(frame))
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
                carryOut(stage.disconnect())
            case 3, 4:
                carryOut(
                    stage.advanceTime(
                        .milliseconds(
                            Int.random(in: 100...20_000, using: &chance) / (isQuiet ? 1 : 20))))
            default:
                if isConnecting {
                    isConnecting = false
                    carryOut(stage.open())
                } else if let frame = server.outbound?.first {
                    server.outbound?.removeFirst()
                    carryOut(stage.receive(frame))
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
                carryOut(stage.receive(frame))
            } else {
                carryOut(stage.advanceTime(.seconds(1)))
            }
        }

        #expect(stage.session.outbox.isEmpty)
        #expect(server.messages.filter { $0.sender == "alice" }.map(\.content) == typed)
        #expect(shown == server.messages.map(\.id).filter { $0 > news })
    }
}

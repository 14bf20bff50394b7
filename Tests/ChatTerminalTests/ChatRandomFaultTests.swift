import EventLoop
import SeededRandom
import Testing

@testable import ChatTerminal
@testable import ConfabClient

@Suite("A chat with random faults")
struct ChatRandomFaultTests {
    @Test(
        "stores every line once and in order, and displays every message once and in order",
        arguments: UnreliableServer.SimulatedDialect.allCases,
        0..<100 as Range<UInt64>)
    func everything(dialect: UnreliableServer.SimulatedDialect, seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        var server = UnreliableServer(dialect)
        for number in 0..<Int.random(in: 0..<4, using: &chance) {
            server.post("bob", "old\(number)")
        }
        let isInteractive = Bool.random(using: &chance)
        // Agents has no history to display.
        let news = isInteractive && dialect != .agents ? 0 : server.messages.count
        var fixture = ChatSessionFixture(
            isInteractive: isInteractive, user: server.user, speaking: server.client)
        var shown: [Int] = []
        var typed: [String] = []
        var isConnecting = false

        func carryOut(_ steps: [FixtureStep]) {
            var waiting = steps
            while !waiting.isEmpty {
                let step = waiting.removeFirst()
                switch step {
                case .connect(let after):
                    server.connect(to: fixture.session.dialect.url(after: after, rev: nil))
                    isConnecting = true
                case .send(let text): server.receive(text, using: &chance)
                case .show(.message(let message)): shown.append(message.id)
                case .show, .close, .drop, .exit: break
                }
            }
        }

        carryOut(fixture.start())
        // Not before the first join: the session does not reconnect if it has never joined.
        carryOut(fixture.open())
        isConnecting = false
        while let frame = server.outbound?.first, !fixture.session.hasJoined {
            server.outbound?.removeFirst()
            carryOut(fixture.receive(frame))
        }
        for turn in 0..<400 {
            let isQuiet = turn >= 300
            switch Int.random(in: 0..<10, using: &chance) {
            case 0 where !isQuiet:
                typed.append("line\(typed.count)")
                carryOut(fixture.type(typed[typed.count - 1]))
            case 1 where !isQuiet:
                server.post("bob", "news\(turn)")
            case 2 where !isQuiet && server.outbound != nil:
                server.outbound = nil
                isConnecting = false
                carryOut(fixture.disconnect())
            case 3, 4:
                carryOut(
                    fixture.advanceTime(
                        .milliseconds(
                            Int.random(in: 100...20_000, using: &chance) / (isQuiet ? 1 : 20))))
            default:
                if isConnecting {
                    isConnecting = false
                    carryOut(fixture.open())
                } else if let frame = server.outbound?.first {
                    server.outbound?.removeFirst()
                    carryOut(fixture.receive(frame))
                }
            }
        }
        // No faults occur from here on. A repetition would come within 100 turns after the end.
        var turnsLeft = 2000
        while turnsLeft > 0 {
            turnsLeft -= 1
            if fixture.session.outbox.items.isEmpty, shown.count >= server.messages.count - news {
                turnsLeft = min(turnsLeft, 100)
            }
            if isConnecting {
                isConnecting = false
                carryOut(fixture.open())
            } else if let frame = server.outbound?.first {
                server.outbound?.removeFirst()
                carryOut(fixture.receive(frame))
            } else {
                carryOut(fixture.advanceTime(.seconds(1)))
            }
        }

        #expect(fixture.session.outbox.items.isEmpty)
        #expect(server.messages.filter { $0.sender == "alice" }.map(\.content) == typed)
        #expect(shown == server.messages.map(\.id).filter { $0 > news })
    }
}

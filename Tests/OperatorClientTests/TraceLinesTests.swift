import JSON
import Testing

@testable import OperatorClient

@Suite("The lines of confab trace --user")
struct TraceLinesTests {
    private func row(_ message: Int?, _ state: String, at second: Int = 5) -> JSONTree {
        [
            "timestamp": .string("2026-01-31T12:00:0\(second).123Z"), "conversation": "lobby",
            "message": message.map { .integer($0) } ?? .null, "direction": "from",
            "state": .string(state), "accepted_on": "n1",
            "owner": message == nil ? .null : "n2", "stored": .number("1.234"),
            "first_written": .number("2.5"), "last_written": .number("3"), "sockets": 5,
            "delivered": state == "delivered" ? .number("3.25") : .null,
        ]
    }

    @Test("print a message once, when it is delivered or has failed")
    func once() {
        var lines = TraceLines()
        let rows = [self.row(1, "delivered"), self.row(2, "stored")]
        #expect(lines.select(rows, elapsed: 0, isLast: false) == [rows[0]])
        #expect(lines.select(rows, elapsed: 0.5, isLast: false) == [])
        let later = [self.row(1, "delivered"), self.row(2, "failed")]
        #expect(lines.select(later, elapsed: 1, isLast: false) == [later[1]])
        #expect(lines.select(later, elapsed: 9, isLast: true) == [])
    }

    @Test("print a message that does not get further after two seconds, and at the end")
    func unfinished() {
        var lines = TraceLines()
        let rows = [self.row(nil, "waiting", at: 5), self.row(nil, "waiting", at: 6)]
        #expect(lines.select([rows[0]], elapsed: 0, isLast: false) == [])
        #expect(lines.select(rows, elapsed: 1.9, isLast: false) == [])
        #expect(lines.select(rows, elapsed: 2, isLast: false) == [rows[0]])
        #expect(lines.select(rows, elapsed: 2.1, isLast: true) == [rows[1]])
    }

    @Test("remember a bounded number of messages, and repeat none of the latest")
    func bounded() {
        var lines = TraceLines()
        for number in 1...20_000 {
            let row = self.row(number, "delivered")
            #expect(lines.select([row], elapsed: 0, isLast: false) == [row])
            #expect(lines.select([row], elapsed: 0, isLast: false) == [])
        }
    }

    @Test("name the nodes, the state and the times")
    func text() {
        #expect(
            TraceLines.line(of: self.row(42, "delivered"))
                == "12:00:05.123  #42 in lobby, from the user  n1 → n2  delivered  "
                + "stored +1.2 ms  written +2.5 ms  5 sockets  delivered +3.3 ms\n")
        #expect(
            TraceLines.line(of: self.row(nil, "waiting")).hasPrefix(
                "12:00:05.123  no number yet in lobby, from the user  n1 → -  waiting"))
    }
}

import HTTPClient
import HTTPWire
import Testing

@testable import NodeLink

@Suite("The activity of Redis")
struct RedisActivityTests {
    /// Ticks every 100 ms until `end`.
    private func tick(_ activity: inout RedisActivity, from begin: Int64, to end: Int64) {
        for time in stride(from: begin, through: end, by: 100) { activity.ticked(at: time) }
    }

    @Test("is silent after a second without a reply, for the time since the last one")
    func silence() {
        var activity = RedisActivity(at: 0)
        #expect(activity.replied(from: ["a:1"], at: 50) == nil)
        self.tick(&activity, from: 100, to: 1000)
        #expect(activity.silence(at: 1049) == nil)
        #expect(activity.silence(at: 1050) == 1000)
        self.tick(&activity, from: 1100, to: 4000)
        #expect(activity.silence(at: 4050) == 4000)
        _ = activity.replied(from: ["a:1"], at: 4060)
        #expect(activity.silence(at: 4100) == nil)
    }

    @Test("reports the duration and the reason of an outage when it ends")
    func outage() {
        var activity = RedisActivity(at: 0)
        _ = activity.replied(from: ["a:1"], at: 0)
        self.tick(&activity, from: 100, to: 2000)
        activity.failed("a:1 refuses the connection.")
        self.tick(&activity, from: 2100, to: 3400)
        let end = activity.replied(from: ["a:1"], at: 3450)
        #expect(end?.milliseconds == 3450 && end?.isFailover == false)
        #expect(
            end?.event.detail
                == "Redis at a:1 did not answer for 3.4 s: a:1 refuses the connection.")
        #expect(end?.event.name == "outage")
        #expect(activity.replied(from: ["a:1"], at: 3500) == nil)
    }

    @Test("reports another master as a failover, even a quick one")
    func failover() {
        var activity = RedisActivity(at: 0)
        _ = activity.replied(from: ["a:1"], at: 0)
        let end = activity.replied(from: ["b:2"], at: 300)
        #expect(end?.event.name == "failover")
        #expect(end?.event.detail == "from a:1 to b:2, without answers for 0.3 s")
    }

    @Test("does not blame Redis while the node waits for its first reply, or was stopped itself")
    func ownPause() {
        var activity = RedisActivity(at: 0)
        self.tick(&activity, from: 100, to: 5000)
        #expect(activity.silence(at: 5000) == 5000)
        #expect(activity.replied(from: ["a:1"], at: 5000) == nil)
        // The process was stopped for 10 s. The reply that waited is read before the next tick.
        #expect(activity.replied(from: ["a:1"], at: 15_000) == nil)
        activity.ticked(at: 30_000)
        #expect(activity.silence(at: 30_000) == nil)
    }
}

@Suite("The response to a direct question")
struct DirectReplyTests {
    @Test(
        "has a status and a whole body, or is unreadable",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200),
            ("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nX: y\r\n\r\n", 403),
            ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", nil),
            ("HTTP/1.1 200 OK\r\n\r\nabc", nil), ("HTTP/1.1 200 OK\r\nContent-Length: 0", nil),
            ("SSH-2.0-OpenSSH\r\n\r\n", nil), ("HTTP/1.1 abc\r\nContent-Length: 0\r\n\r\n", nil),
            ("", nil),
        ] as [(String, Int?)])
    func responses(text: String, status: Int?) {
        var reader = HTTPResponseReader(byteLimit: 1 << 16)
        let answer: HTTPResponseReader.Answer
        if case .complete(let whole, _) = reader.receive(Array(text.utf8)[...]) {
            answer = whole
        } else {
            answer = reader.end()
        }
        switch DirectCalls.result(.answer(answer), at: "a:1") {
        case .success(let body): #expect(status == 200 && body == Array("abc".utf8))
        case .failure(.rejected(_, let code)): #expect(status == code)
        case .failure(let error): #expect(status == nil, "\(error)")
        }
    }
}

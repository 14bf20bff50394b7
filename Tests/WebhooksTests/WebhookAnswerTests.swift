import HTTPWire
import Testing

@testable import Webhooks

@Suite("The answer of a webhook's receiver")
struct WebhookAnswerTests {
    private func read(_ text: String, pieces: Int = .max) -> WebhookAnswer.AnswerProgress {
        var answer = WebhookAnswer()
        var rest = Array(text.utf8)[...]
        var progress = WebhookAnswer.AnswerProgress.incomplete
        while !rest.isEmpty, progress == .incomplete {
            progress = answer.receive(rest.prefix(pieces))
            rest = rest.dropFirst(pieces)
        }
        return progress
    }

    @Test(
        "decides the outcome, however its bytes arrive",
        arguments: [
            ("HTTP/1.1 204 No Content\r\n\r\n", WebhookOutcome.delivered, true),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", .delivered,
                false
            ),
            ("HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 204 x\r\n\r\n", .delivered, true),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", .failed("HTTP 101"), false),
            (
                "HTTP/1.1 503 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
                .failed("HTTP 503", retryAfter: 1), true
            ),
            ("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", .gone, true),
        ])
    func outcome(_ text: String, _ outcome: WebhookOutcome, _ keepsAlive: Bool) {
        #expect(self.read(text) == .complete(outcome, keepsAlive: keepsAlive))
        #expect(self.read(text, pieces: 1) == .complete(outcome, keepsAlive: keepsAlive))
    }

    @Test(
        "may end its lines with bare line feeds, and then ends the connection",
        arguments: [
            ("HTTP/1.1 204 No Content\n\n", WebhookOutcome.delivered),
            ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", .delivered),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n", .delivered),
            ("HTTP/1.0 503 Busy\nRetry-After: 7\n\n", .failed("HTTP 503", retryAfter: 7)),
            ("HTTP/1.1 100 Continue\n\nHTTP/1.1 204 No Content\n\n", .delivered),
        ])
    func bareLineFeeds(_ text: String, _ outcome: WebhookOutcome) {
        #expect(self.read(text) == .complete(outcome, keepsAlive: false))
        #expect(self.read(text, pieces: 1) == .complete(outcome, keepsAlive: false))
    }

    @Test("fails with the reason if it is malformed, with any line ends")
    func malformed() {
        for end in ["\r\n", "\n"] {
            let progress = self.read("HTTP/9 200 OK\(end)Content-Length: 0\(end)\(end)")
            guard case .complete(.failed(let reason, _), keepsAlive: false) = progress else {
                Issue.record("\(progress)")
                continue
            }
            #expect(reason.hasPrefix("The server's response is malformed: "), "\(reason)")
        }
        var answer = WebhookAnswer()
        #expect(answer.receive(Array("garbage\n".utf8)[...]) == .incomplete)
        #expect(answer.endReason.contains("does not end with CR and LF"))
    }

    @Test("is bounded: informational responses for ever are a failure")
    func endless() {
        for text in ["HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 100 x\n\n", "\r"] {
            var answer = WebhookAnswer()
            var rounds = 0
            while rounds < 100_000, answer.receive(Array(text.utf8)[...]) == .incomplete {
                rounds += 1
            }
            #expect(answer.byteCount <= WebhookAnswer.byteLimit + text.utf8.count)
        }
    }
}

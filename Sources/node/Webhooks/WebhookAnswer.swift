internal import Bytes
internal import HTTPWire

/// Reads the answer of an endpoint to one request: any informational responses, then the head of
/// the final one. Its body is ignored: a connection whose response is not complete in one read is
/// closed, so that no receiver can hold one with a slow body.
///
/// Unlike Confab's other parsers it accepts lines that end with a bare line feed, which some
/// receivers send (RFC 9112 section 2.2). They cannot smuggle anything, because the connection
/// carries no other request after such an answer.
struct WebhookAnswer: HTTPAnswerReader {
    typealias AnswerProgress = HTTPAnswerProgress<WebhookOutcome>

    /// The bytes that are not parsed yet.
    private var unread: [UInt8] = []
    private var parser = HTTPResponseParser()
    /// The strict parser's error, after which the answer is read with bare line feeds.
    private var strictError: HTTPResponseError?
    /// All bytes so far.
    private(set) var byteCount = 0

    /// An answer whose final head is not complete within so many bytes is a failure. A receiver
    /// could otherwise send informational responses for ever.
    static let byteLimit = 65_536

    mutating func receive(_ bytes: ArraySlice<UInt8>) -> AnswerProgress {
        self.unread += bytes
        self.byteCount += bytes.count
        let progress = self.parse()
        guard progress == .incomplete, self.byteCount >= Self.byteLimit else { return progress }
        return self.failure(
            "no final response within \(Self.byteLimit) bytes; "
                + "the receiver must not send more informational responses")
    }

    /// The reason for an answer that ended before it was complete.
    var endReason: String {
        self.strictError?.description ?? "the connection ended without an answer"
    }

    mutating func end() -> WebhookOutcome { .failed(self.endReason) }

    private func failure(_ reason: String) -> AnswerProgress {
        .complete(.failed(reason), keepsAlive: false)
    }

    private mutating func parse() -> AnswerProgress {
        while true {
            let head: HTTPResponseHead
            if let strictError {
                guard let lines = Self.completingLineEnds(of: self.unread) else {
                    let isTooLong = self.unread.count > HTTPLimits().headBytes
                    return isTooLong ? self.failure("\(strictError)") : .incomplete
                }
                self.unread = lines
                do throws(HTTPResponseError) {
                    guard let found = try self.nextHead() else { return .incomplete }
                    head = found
                } catch {
                    return self.failure("\(strictError)")
                }
            } else {
                do throws(HTTPResponseError) {
                    guard let found = try self.nextHead() else { return .incomplete }
                    head = found
                } catch {
                    guard Self.hasBareLineFeed(self.unread) else {
                        return self.failure("\(error)")
                    }
                    self.strictError = error
                    self.parser = HTTPResponseParser()
                    continue
                }
            }
            guard head.status.rawValue < 200, head.status != .switchingProtocols else {
                return .complete(
                    Self.outcome(of: head, in: self.unread), keepsAlive: self.mayReuse(after: head))
            }
            self.unread.removeFirst(head.byteCount)
        }
    }

    private mutating func nextHead() throws(HTTPResponseError) -> HTTPResponseHead? {
        var head = HTTPResponseHead()
        var parser = self.parser
        let isComplete = try parser.parse(self.unread.span.bytes, into: &head)
        self.parser = parser
        return isComplete ? head : nil
    }

    private static func hasBareLineFeed(_ bytes: [UInt8]) -> Bool {
        bytes.indices.contains { bytes[$0] == 0x0A && ($0 == 0 || bytes[$0 - 1] != 0x0D) }
    }

    /// The bytes with CR and LF at the end of each line of their head; nil if the head is not
    /// complete.
    private static func completingLineEnds(of bytes: [UInt8]) -> [UInt8]? {
        var lines: [UInt8] = []
        var start = bytes.startIndex
        while let end = bytes[start...].firstIndex(of: 0x0A) {
            var line = bytes[start..<end]
            if line.last == 0x0D { line.removeLast() }
            lines += line + [0x0D, 0x0A]
            start = end + 1
            if line.isEmpty { return lines + bytes[start...] }
        }
        return nil
    }

    /// Whether the received bytes are exactly the response. Otherwise the receiver could hold the
    /// connection with a slow body.
    private func mayReuse(after head: HTTPResponseHead) -> Bool {
        guard head.keepsAlive, self.strictError == nil, head.status != .switchingProtocols,
            var decoder = try? HTTPBodyDecoder(head.body, byteLimit: Self.byteLimit)
        else { return false }
        var body = ByteBuffer()
        let rest = self.unread.span.bytes.extracting(head.byteCount..<self.unread.count)
        guard let count = try? decoder.decode(rest, into: &body) else { return false }
        return decoder.isComplete && count == rest.byteCount
    }

    private static func outcome(of head: HTTPResponseHead, in bytes: [UInt8]) -> WebhookOutcome {
        let status = head.status.rawValue
        switch status {
        case 200..<300: return .delivered
        case 300..<400: return .failed("HTTP \(status): redirects are not followed")
        case 410: return .gone
        case 429, 503:
            let delay = head.fields.text("retry-after", in: bytes.span.bytes).flatMap { Int($0) }
            return .failed("HTTP \(status)", retryAfter: delay)
        default: return .failed("HTTP \(status)")
        }
    }
}

import Bytes
import EngineIO
import EventLoop

/// A message between nodes about an Engine.IO request whose session is on another node.
///
/// Each request has a number. The node with the client repeats the request until it is answered.
/// The node with the session executes it once, and repeats the answer.
///
/// A message is a line of words, whose first word is its tag, and a body. It follows the rules of
/// `NodePacket`: a new field is a further word at the end of the line, which a reader that does not
/// know it skips, and a message with an unknown tag is skipped as a whole.
enum ForwardedMessage {
    /// The kind of a request to the session's node. Raw values are on the wire.
    enum Kind: String {
        case poll, post
        /// A POST whose body is not UTF-8; the session rejects it itself. The body is in base64url.
        case binaryPost = "bytes"
        /// The head of a POST whose body is being received. The body, if any, is the announced
        /// length. A later request with the same number has the body of the POST.
        case postStarted = "began"
        /// A POST whose body exceeds the limit.
        case postTooLong = "tooLong"
        /// A WebSocket that is to take over the session.
        case probe
        /// The session is to move to the node with the WebSocket. The body is the probe's number.
        case takeOver = "take"
        /// The connection of a poll has ended, the WebSocket of a probe has closed, or a POST has
        /// ended before its body was complete. The body is the number of that request. No answer is
        /// expected.
        case pollAborted = "broke"
        case probeClosed = "closed"
        case postAborted = "torn"
    }

    struct SessionRequest {
        let kind: Kind
        let number: UInt64
        /// The requester's loop.
        let loop: UInt16
        let session: EngineSessionID
        let identity: RequestIdentity
        let body: Substring
    }

    enum SessionReply {
        case payload(Substring)
        case accepted
        /// If `closes`, the connection ends with this answer, for example because a body was not
        /// read.
        case refused(EngineRefusal, closes: Bool)
        /// The session rejects or closes the WebSocket.
        case closed(code: UInt16, reason: Substring)
        /// The encoded `SessionTransfer`.
        case transferred(Substring)
    }

    case request(SessionRequest)
    case reply(UInt64, SessionReply)
    /// A message from one session of a dialect to the dialect on every node.
    case broadcast(dialect: String, String)

    /// A random number for a new request.
    static func randomNumber() -> UInt64 { UInt64.random(in: 0...UInt64.max) | 1 << 63 }

    static func encodeBroadcast(_ message: String, of dialect: String) -> String {
        "word \(dialect)\n\(message)"
    }

    static func encodeRequest(
        _ kind: Kind, _ number: UInt64, from loop: UInt16, _ session: EngineSessionID,
        by identity: RequestIdentity = .noToken, _ body: String
    ) -> String {
        "ask \(kind.rawValue) \(number) \(loop) \(session.text) \(identity.text)\n\(body)"
    }

    /// - Parameter closes: whether the connection ends with a refusal.
    static func encodeReply(
        _ number: UInt64, _ answer: EngineAnswer, _ steps: EngineSteps, closes: Bool = false
    ) -> String {
        let suffix = closes ? self.closeSuffix : ""
        return switch answer {
        case .payload(let range):
            "answer \(number) payload\n\(String(decoding: steps.text.bytes[range], as: UTF8.self))"
        case .accepted: "answer \(number) taken\n"
        case .refused(let refusal):
            "answer \(number) refused\n\(refusal.status) \(refusal.code)\(suffix)"
        }
    }

    static func encodeClose(_ number: UInt64, code: UInt16, _ reason: String) -> String {
        "answer \(number) closed\n\(code) \(reason)"
    }

    static func encodeTransfer(_ number: UInt64, state: String) -> String {
        "answer \(number) departed\n\(state)"
    }

    /// Nil for a message that this version does not know.
    init?(_ text: String) {
        let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        let fields = parts[0].split(separator: " ")
        guard parts.count == 2, let verb = fields.first else { return nil }
        if verb == "ask" {
            guard fields.count >= 6, let kind = Kind(rawValue: String(fields[1])),
                let number = UInt64(fields[2]), let loop = UInt16(fields[3]),
                let session = EngineSessionID(named: String(fields[4])),
                let identity = RequestIdentity(fields[5])
            else { return nil }
            self = .request(
                SessionRequest(
                    kind: kind, number: number, loop: loop, session: session, identity: identity,
                    body: parts[1]))
            return
        }
        if verb == "word", fields.count >= 2 {
            self = .broadcast(dialect: String(fields[1]), String(parts[1]))
            return
        }
        guard verb == "answer", fields.count >= 3, let number = UInt64(fields[1]) else {
            return nil
        }
        switch fields[2] {
        case "payload": self = .reply(number, .payload(parts[1]))
        case "taken": self = .reply(number, .accepted)
        case "departed": self = .reply(number, .transferred(parts[1]))
        case "refused":
            let isLast = parts[1].hasSuffix(Self.closeSuffix)
            self = .reply(
                number,
                .refused(
                    Self.parseRefusal(
                        isLast ? parts[1].dropLast(Self.closeSuffix.count) : parts[1]),
                    closes: isLast))
        case "closed":
            let halves = parts[1].split(
                separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, let code = UInt16(halves[0]) else { return nil }
            self = .reply(number, .closed(code: code, reason: halves[1]))
        default: return nil
        }
    }

    private static let closeSuffix = " close"

    /// Looks up a refusal by status and code. Neither is sufficient: a bad request and a too large
    /// one share a code.
    private static func parseRefusal(_ text: Substring) -> EngineRefusal {
        let all: [EngineRefusal] = [.badRequest, .forbidden, .payloadTooLarge]
        return all.first { "\($0.status) \($0.code)" == text } ?? .unknownSession
    }
}

/// A request from another node, at the node that has its session.
struct RemoteRequest {
    /// The node that has the client's connection.
    var node: UInt64
    var loop: UInt16
    var kind: ForwardedMessage.Kind
    /// For a POST: the session has processed the head.
    var hasProcessedHead = false
    /// When the other node sent the request last. It repeats the request until it gets an answer.
    var lastRequestedAt: Int64
    /// Nil while the request is pending.
    var answer: String?

    /// After this time without a repetition the other node is assumed to be dead, and its poll or
    /// incomplete POST ends. Replies of ended sessions are retained for the same time.
    static let timeoutMilliseconds: Int64 = 10_000
    /// How many requests of one session are retained.
    static let perSessionLimit = 32
    /// How many replies of a loop's ended sessions are retained.
    static let endedSessionLimit = 4096
}

/// A request from a client of this node, forwarded to the node that has its session.
struct ForwardedRequest {
    let kind: ForwardedMessage.Kind
    let node: UInt64
    let loop: UInt16
    let session: EngineSessionID
    let identity: RequestIdentity
    /// The connection that waits for the answer.
    let requester: SocketToken
    let body: String
    /// When the request is repeated if no answer has come.
    var retryAt: Int64
    let deadline: Int64

    /// Whether the answer may take any time: it depends on the client.
    var isLongRunning: Bool { self.kind == .poll || self.kind == .postStarted }
    /// A poll stays pending for long, and each repetition tells the session's node that the client
    /// still waits.
    var retryInterval: Int64 { self.isLongRunning ? 3000 : 250 }
    static let timeoutMilliseconds: Int64 = 10_000
}

/// A session that moves to the node with its WebSocket: its state, and the packets that waited for
/// a poll. The packets end the text, so a new field belongs into the state.
struct SessionTransfer {
    /// The remaining lifetime of the token in milliseconds; 0 if it does not expire.
    let expiresAfter: Int64
    /// The session's snapshot, as the dialect encodes it.
    let state: String
    let packets: [String]

    private static let separator: Character = "\u{1E}"

    var text: String {
        ([String(self.expiresAfter), self.state] + self.packets).joined(
            separator: String(Self.separator))
    }

    init(expiresAfter: Int64, state: String, packets: [String]) {
        self.expiresAfter = expiresAfter
        self.state = state
        self.packets = packets
    }

    init?(_ text: Substring) {
        let parts = text.split(separator: Self.separator, omittingEmptySubsequences: false)
        guard parts.count >= 2, let expiresAfter = Int64(parts[0]) else { return nil }
        self.init(
            expiresAfter: expiresAfter, state: String(parts[1]),
            packets: parts[2...].map(String.init))
    }
}

extension EngineRequestID {
    /// The id of a forwarded request. Its highest bit distinguishes it from the id of a local
    /// request.
    init(forwarded number: UInt64) { self.init(rawValue: number) }
    var isForwarded: Bool { self.rawValue >> 63 == 1 }
}

extension EngineSocketID {
    init(forwarded number: UInt64) { self.init(rawValue: number) }
    var isForwarded: Bool { self.rawValue >> 63 == 1 }
}

import Bytes
import EngineIO
import EventLoop

/// What nodes say to each other about requests that have come to one and are for a session of another.
///
/// Each request has a number. Who carries it asks until it is answered; who has the session does it once, and says the same again.
enum ForwardedMessage {
    /// What is asked of the session's node.
    enum Kind: String {
        case poll, post
        /// A POST that is no text, for the session to judge as it judges its own. The body is in base64url.
        case bytes
        /// The head of a POST whose body is under way: the same number brings the body. The body is what the head announces, or nothing.
        case began
        /// The body of a POST is longer than it may be.
        case tooLong
        /// A WebSocket wants to take over.
        case probe
        /// It does, now: the session goes to the node that has it. The body is the probe's number.
        case take
        /// The connection of a poll, or the WebSocket of a probe, has ended, or a POST's before its body was whole. The body is its number.
        /// Nobody waits for an answer.
        case broke, closed, torn
    }

    struct SessionRequest {
        let kind: Kind
        let number: UInt64
        /// The loop of the one who asks.
        let loop: UInt16
        let session: EngineSessionID
        let identity: RequestIdentity
        let body: Substring
    }

    enum SessionReply {
        case payload(Substring)
        case accepted
        /// Whether the connection ends with it, as where a body was not read.
        case refused(EngineRefusal, closes: Bool)
        /// The session wants nothing of the WebSocket, or nothing more: with this it is closed.
        case closed(code: UInt16, reason: Substring)
        /// What a session needs to go on, as `SessionTransfer` writes it.
        case transferred(Substring)
    }

    case request(SessionRequest)
    case reply(UInt64, SessionReply)
    /// What a session of a dialect has announced.
    case broadcast(dialect: String, String)

    /// A number that no other request has.
    static func randomNumber() -> UInt64 { UInt64.random(in: 0...UInt64.max) | 1 << 63 }

    static func encodeBroadcast(_ word: String, of dialect: String) -> String {
        "word \(dialect)\n\(word)"
    }

    static func encodeRequest(
        _ kind: Kind, _ number: UInt64, from loop: UInt16, _ session: EngineSessionID,
        by visitor: RequestIdentity = .noToken, _ body: String
    ) -> String {
        "ask \(kind.rawValue) \(number) \(loop) \(session.text) \(visitor.text)\n\(body)"
    }

    /// - Parameter closes: of a refusal, whether the connection ends with it.
    static func encodeReply(
        _ number: UInt64, _ answer: EngineAnswer, _ steps: EngineSteps, closes: Bool = false
    ) -> String {
        switch answer {
        case .payload(let place):
            "answer \(number) payload\n\(String(decoding: steps.text.bytes[place], as: UTF8.self))"
        case .accepted: "answer \(number) taken\n"
        case .refused(let refusal):
            "answer \(number) refused\n\(refusal.status) \(refusal.code)\(closes ? self.closeSuffix : "")"
        }
    }

    static func encodeClose(_ number: UInt64, code: UInt16, _ reason: String) -> String {
        "answer \(number) closed\n\(code) \(reason)"
    }

    static func encodeTransfer(_ number: UInt64, state: String) -> String {
        "answer \(number) departed\n\(state)"
    }

    /// Nil for what no node of this version says.
    init?(_ text: String) {
        let halves = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        let words = halves[0].split(separator: " ")
        guard halves.count == 2, let verb = words.first else { return nil }
        if verb == "ask" {
            guard words.count == 6, let kind = Kind(rawValue: String(words[1])),
                let number = UInt64(words[2]), let loop = UInt16(words[3]),
                let session = EngineSessionID(named: String(words[4])),
                let visitor = RequestIdentity(words[5])
            else { return nil }
            self = .request(
                SessionRequest(
                    kind: kind, number: number, loop: loop, session: session, identity: visitor,
                    body: halves[1]))
            return
        }
        if verb == "word", words.count == 2 {
            self = .broadcast(dialect: String(words[1]), String(halves[1]))
            return
        }
        guard verb == "answer", words.count == 3, let number = UInt64(words[1]) else { return nil }
        switch words[2] {
        case "payload": self = .reply(number, .payload(halves[1]))
        case "taken": self = .reply(number, .accepted)
        case "departed": self = .reply(number, .transferred(halves[1]))
        case "refused":
            let isLast = halves[1].hasSuffix(Self.closeSuffix)
            self = .reply(
                number,
                .refused(
                    Self.parseRefusal(
                        isLast ? halves[1].dropLast(Self.closeSuffix.count) : halves[1]),
                    closes: isLast))
        case "closed":
            let parts = halves[1].split(
                separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let code = UInt16(parts[0]) else { return nil }
            self = .reply(number, .closed(code: code, reason: parts[1]))
        default: return nil
        }
    }

    private static let closeSuffix = " close"

    /// By status and code: neither alone tells a bad request from one that is too large.
    private static func parseRefusal(_ text: Substring) -> EngineRefusal {
        let all: [EngineRefusal] = [.badRequest, .forbidden, .payloadTooLarge]
        return all.first { "\($0.status) \($0.code)" == text } ?? .unknownSession
    }
}

/// A request that has come to another node, at the node that has its session.
struct RemoteRequest {
    /// Who carries it.
    var node: UInt64
    var loop: UInt16
    var kind: ForwardedMessage.Kind
    /// Of a POST: its session has taken the head.
    var hasProcessedHead = false
    /// When it was asked for last: a node that waits for an answer asks again.
    var lastRequestedAt: Int64
    /// What it was answered with; nil while it waits.
    var answer: String?

    /// A poll, or a POST whose body is under way, that nobody asks for any more is of a node that has died.
    static let timeoutMilliseconds: Int64 = 10_000
    /// So many requests of a session are remembered,
    static let perSessionLimit = 32
    /// and so many of a loop's sessions that are over.
    static let endedSessionLimit = 4096
}

/// A request that has come here, and is carried to the node that has its session.
struct ForwardedRequest {
    let kind: ForwardedMessage.Kind
    let node: UInt64
    let loop: UInt16
    let session: EngineSessionID
    let identity: RequestIdentity
    /// The connection that waits for the answer.
    let requester: SocketToken
    let body: String
    /// When it is asked for again, if there is no answer.
    var retryAt: Int64
    let deadline: Int64

    /// Whether it may take as long as its client likes.
    var isLongRunning: Bool { self.kind == .poll || self.kind == .began }
    /// A poll waits for long at its session's, which hears by this that somebody still wants it.
    var retryInterval: Int64 { self.isLongRunning ? 3000 : 250 }
    static let timeoutMilliseconds: Int64 = 10_000
}

/// A session on its way to the node that has its WebSocket: what it is, and what waited for a poll.
struct SessionTransfer {
    /// How many milliseconds the token is good for; 0 for ever.
    let expiresAfter: Int64
    /// As `DialectSession.standing` has it.
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
    /// A request that another node carries; no token makes this.
    init(forwarded number: UInt64) { self.init(rawValue: number) }
    var isForwarded: Bool { self.rawValue >> 63 == 1 }
}

extension EngineSocketID {
    init(forwarded number: UInt64) { self.init(rawValue: number) }
    var isForwarded: Bool { self.rawValue >> 63 == 1 }
}

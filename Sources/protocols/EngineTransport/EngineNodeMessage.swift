public import EngineIO

/// A message between nodes about an Engine.IO request whose session is on another node.
///
/// Each request has a number. The node with the client repeats the request until it is answered.
/// The node with the session executes it once, and repeats the reply.
///
/// A message is a line of words, whose first word is its tag, and a body. It follows the rules of
/// `NodePacket`: a new field is a further word at the end of the line, which a reader that does not
/// know it skips, and a message with an unknown tag is skipped as a whole.
public enum EngineNodeMessage: Sendable {
    case request(NodeSessionRequest)
    case reply(UInt64, NodeSessionReply)
    /// A message from one session of a dialect to the dialect on every node.
    case broadcast(dialect: String, String)

    private static let closeSuffix = " close"

    // MARK: Writing

    public static func encodeBroadcast(_ message: String, of dialect: String) -> String {
        "word \(dialect)\n\(message)"
    }

    static func encodeReply(_ number: UInt64, payload: String) -> String {
        "answer \(number) payload\n\(payload)"
    }

    static func encodeAcceptance(_ number: UInt64) -> String { "answer \(number) taken\n" }

    /// - Parameter closes: whether the connection ends with the refusal.
    static func encodeReply(
        _ number: UInt64, refusal: EngineRefusal, closes: Bool = false
    ) -> String {
        "answer \(number) refused\n\(refusal.status) \(refusal.code)"
            + (closes ? self.closeSuffix : "")
    }

    static func encodeClose(_ number: UInt64, code: UInt16, _ reason: String) -> String {
        "answer \(number) closed\n\(code) \(reason)"
    }

    static func encodeReply(_ number: UInt64, transfer: TransferredSession) -> String {
        "answer \(number) departed\n\(transfer.text)"
    }

    // MARK: Reading

    /// Nil for a message that this version does not know.
    public init?(_ text: String) {
        let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        let words = parts[0].split(separator: " ")
        guard parts.count == 2, let tag = words.first else { return nil }
        let message: EngineNodeMessage? =
            switch tag {
            case "ask": NodeSessionRequest(words, body: parts[1]).map { .request($0) }
            case "answer": Self.reply(words, body: parts[1])
            case "word" where words.count >= 2:
                .broadcast(dialect: String(words[1]), String(parts[1]))
            default: nil
            }
        guard let message else { return nil }
        self = message
    }

    private static func reply(_ words: [Substring], body: Substring) -> EngineNodeMessage? {
        guard words.count >= 3, let number = UInt64(words[1]) else { return nil }
        switch words[2] {
        case "payload": return .reply(number, .payload(body))
        case "taken": return .reply(number, .accepted)
        case "departed": return .reply(number, .transferred(body))
        case "refused":
            let closes = body.hasSuffix(self.closeSuffix)
            let refusal = self.refusal(closes ? body.dropLast(self.closeSuffix.count) : body)
            return .reply(number, .refused(refusal, closes: closes))
        case "closed":
            let halves = body.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, let code = UInt16(halves[0]) else { return nil }
            return .reply(number, .closed(code: code, reason: halves[1]))
        default: return nil
        }
    }

    /// Finds a refusal by status and code. Neither is sufficient: a bad request and a too large one
    /// share a code.
    private static func refusal(_ text: Substring) -> EngineRefusal {
        let all: [EngineRefusal] = [.badRequest, .forbidden, .payloadTooLarge]
        return all.first { "\($0.status) \($0.code)" == text } ?? .unknownSession
    }
}

/// A request to the node that has a session.
public struct NodeSessionRequest: Sendable {
    /// Raw values are on the wire.
    enum Kind: String, Sendable {
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
        /// The client has got the answer to a poll, the connection of a poll has ended, the
        /// WebSocket of a probe has closed, or a POST has ended before its body was complete. The
        /// body is the number of that request. No reply is expected.
        case pollArrived = "arrived"
        case pollAborted = "broke"
        case probeClosed = "closed"
        case postAborted = "torn"

        /// Whether the request completes a POST, so that the session need not wait for more.
        var completesPost: Bool {
            self == .post || self == .binaryPost || self == .postTooLong
        }

        /// Whether the request only reports the end of another one.
        var isNotification: Bool {
            self == .pollArrived || self == .pollAborted || self == .probeClosed
                || self == .postAborted
        }
    }

    let kind: Kind
    let number: UInt64
    /// The requester's loop.
    let loop: UInt16
    /// The session for which the request is. Its owner is needed to execute the request.
    public let session: EngineSessionID
    let identity: EngineRequestIdentity
    let body: Substring
    /// For a poll. The word is its mark or `report`, and is missing if the next poll is the proof.
    let proof: EnginePollProof

    init(
        _ kind: Kind, _ number: UInt64, from loop: UInt16, for session: EngineSessionID,
        by identity: EngineRequestIdentity, body: Substring, proof: EnginePollProof = .nextPoll
    ) {
        self.kind = kind
        self.number = number
        self.loop = loop
        self.session = session
        self.identity = identity
        self.body = body
        self.proof = proof
    }

    /// - Parameter words: those of the message's line, from its tag on.
    fileprivate init?(_ words: [Substring], body: Substring) {
        guard words.count >= 6, let kind = Kind(rawValue: String(words[1])),
            let number = UInt64(words[2]), let loop = UInt16(words[3]),
            let session = EngineSessionID(named: String(words[4])),
            let identity = EngineRequestIdentity(words[5])
        else { return nil }
        let proof: EnginePollProof? = words.dropFirst(6).first.flatMap {
            $0 == "report" ? .report : UInt64($0).map { .otherMark($0) }
        }
        self.init(
            kind, number, from: loop, for: session, by: identity, body: body,
            proof: proof ?? .nextPoll)
    }

    var text: String {
        let proof =
            switch self.proof {
            case .nextPoll: ""
            case .otherMark(let mark): " \(mark)"
            case .report: " report"
            }
        return "ask \(self.kind.rawValue) \(self.number) \(self.loop) \(self.session.text) "
            + "\(self.identity.text)\(proof)\n\(self.body)"
    }
}

/// The reply of the node that has the session.
public enum NodeSessionReply: Sendable, Equatable {
    case payload(Substring)
    case accepted
    /// If `closes`, the connection ends with this reply, for example because a body was not read.
    case refused(EngineRefusal, closes: Bool)
    /// The session rejects or closes the WebSocket.
    case closed(code: UInt16, reason: Substring)
    /// The text of a `TransferredSession`.
    case transferred(Substring)
}

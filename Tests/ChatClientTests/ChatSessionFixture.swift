import EventLoop
import SeededRandom

@testable import ChatClient

/// A chat session with a test clock.
struct ChatSessionFixture {
    var session: ChatSession
    private(set) var now = MonotonicTime(nanoseconds: 1_000_000_000_000)

    static let url = try! WebSocketURL("ws://host/conversations/general/")

    /// - Parameter dialect: Conversations by default.
    init(
        isInteractive: Bool = true, user: String? = "alice",
        speaking dialect: (any ClientDialect)? = nil
    ) {
        let settings = ChatSession.Settings(
            user: user, isInteractive: isInteractive, localIDPrefix: "id")
        self.session = ChatSession(
            settings, speaking: dialect ?? ConversationsClient(Self.url),
            using: SeededGenerator(seed: 3))
    }

    /// Applies a change, and ends the turn. Returns the resulting steps.
    mutating func apply(_ change: (inout ChatSession, MonotonicTime, inout [ChatStep]) -> Void)
        -> [ChatStep]
    {
        var steps: [ChatStep] = []
        change(&self.session, self.now, &steps)
        self.session.finishTurn(into: &steps)
        return steps
    }

    mutating func start() -> [ChatStep] {
        self.apply { session, _, steps in session.start(into: &steps) }
    }
    mutating func open() -> [ChatStep] { self.apply { $0.opened(at: $1, into: &$2) } }
    mutating func receive(_ text: String) -> [ChatStep] {
        self.apply { $0.received(Array(text.utf8), at: $1, into: &$2) }
    }
    mutating func type(_ line: String) -> [ChatStep] {
        self.apply { $0.typed(line, at: $1, into: &$2) }
    }
    mutating func endInput() -> [ChatStep] {
        self.apply { session, now, _ in session.inputEnded(at: now) }
    }
    mutating func disconnect(_ error: ClientError = .broken(reason: "reset")) -> [ChatStep] {
        self.apply { $0.disconnected(error, at: $1, into: &$2) }
    }

    /// Advances time in steps of 100 ms.
    mutating func advanceTime(_ duration: Duration) -> [ChatStep] {
        var steps: [ChatStep] = []
        let end = self.now.advanced(by: duration)
        while self.now < end {
            self.now = self.now.advanced(by: .milliseconds(100))
            steps += self.apply { $0.tick(at: $1, into: &$2) }
        }
        return steps
    }

    /// Joins the conversation, with `newestFirst` as its history.
    mutating func join(_ newestFirst: [(Int, String, String)] = []) -> [ChatStep] {
        _ = self.start()
        _ = self.open()
        return self.receive(Self.page(newestFirst))
    }

    static func page(_ newestFirst: [(Int, String, String)]) -> String {
        let messages = newestFirst.map {
            #"""
            {"id":"\#($0.0)","sender_id":"\#($0.1)","content":"\#($0.2)",\#
            "sent_at":"2026-01-31T12:00:00.123Z","is_edited":false,"is_deleted":false}
            """#
        }
        return
            #"""
            {"type":"messages_fetched","conversation_id":"general",\#
            "messages":[\#(messages.joined(separator: ","))]}
            """#
    }

    static func message(_ id: Int, _ sender: String, _ content: String, localID: String? = nil)
        -> String
    {
        let local = localID.map { #""local_id":"\#($0)","# } ?? ""
        return
            #"""
            {"type":"chat_message","message":{"id":"\#(id)",\#(local)"sender_id":"\#(sender)",\#
            "content":"\#(content)","timestamp":"2026-01-31T12:00:00.123Z","status":"sent"}}
            """#
    }

    /// The server's answer to a rejected line.
    static func failed(_ localID: String, _ sentence: String, retryAfter: String? = nil) -> String {
        #"""
        {"type":"message.failed","local_id":"\#(localID)",\#
        "error":"\#(sentence)"\#(retryAfter.map { #","retry_after":\#($0)"# } ?? "")}
        """#
    }
}

extension [ChatStep] {
    /// The frames that are sent.
    var sent: [String] {
        self.compactMap { if case .send(let text) = $0 { text } else { nil } }
    }

    /// The frames of the lines that are sent.
    var sentLines: [String] {
        self.sent.filter { $0.contains("send_message") }
    }

    /// Everything displayed, in short form.
    var shown: [String] {
        self.compactMap {
            switch $0 {
            case .show(.message(let message, let isMine)):
                "#\(message.id) \(isMine ? "me" : message.displayName): \(message.content)"
            case .show(.direct(let message, let to, let isMine)):
                "\(isMine ? "me" : message.displayName) to \(to): \(message.content)"
            case .show(.edited(let message)): "edited #\(message.id): \(message.content)"
            case .show(.deleted(let message)): "deleted #\(message.id)"
            case .show(.status(let id, let progress)): "#\(id) \(progress.label)"
            case .show(.notice(let sentence)): "notice \(sentence)"
            case .show(.error(let sentence)): "error \(sentence)"
            default: nil
            }
        }
    }

    var exitStatus: Int32? {
        self.compactMap { if case .exit(let status) = $0 { status } else { nil } }.first
    }

    /// The resume points of the connects.
    var connects: [Int?] {
        self.compactMap { if case .connect(let after) = $0 { .some(after) } else { nil } }
    }
}

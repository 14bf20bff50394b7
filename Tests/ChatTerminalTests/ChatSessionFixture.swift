import Bytes
import EventLoop
import SeededRandom
import Testing

@testable import ChatTerminal
@testable import ConfabClient

/// A step of the fixture's chat or of its session.
enum FixtureStep: Equatable {
    case connect(after: Int?)
    case send(String)
    case show(ChatLine)
    case close
    case drop(ClientError)
    case exit(Int32)
}

/// A chat in one conversation, with its session and a test clock.
struct ChatSessionFixture {
    var chat: TerminalChat
    var session: ChatSession
    private(set) var now = MonotonicTime(nanoseconds: 1_000_000_000_000)
    private var actions: [Int: RoomAction] = [:]
    private var lastRequestID = 0

    static let url = try! WebSocketURL("ws://host/conversations/general/")
    private static let room = "general"

    /// - Parameter dialect: Conversations by default.
    init(
        isInteractive: Bool = true, user: String? = "alice",
        speaking dialect: (any ClientDialect)? = nil
    ) {
        let client = dialect ?? ConversationsClient(Self.url)
        self.chat = TerminalChat(
            .init(dialect: client.dialect, isInteractive: isInteractive, localIDPrefix: "id"),
            first: TerminalRoom(Self.room, client.capabilities))
        self.session = ChatSession(
            .init(user: user, windowCount: isInteractive ? TerminalChat.historyLimit : 0),
            speaking: client, using: SeededGenerator(seed: 3))
    }

    /// Applies a change of the session, and carries out all steps. Returns those that leave both.
    mutating func apply(_ change: (inout ChatSession, MonotonicTime, inout [ClientStep]) -> Void)
        -> [FixtureStep]
    {
        var steps: [ClientStep] = []
        change(&self.session, self.now, &steps)
        return self.finishTurn(steps)
    }

    /// Applies a change of the chat, and carries out all steps.
    mutating func applyInput(
        _ change: (inout TerminalChat, MonotonicTime, inout [TerminalStep]) -> Void
    ) -> [FixtureStep] {
        var steps: [TerminalStep] = []
        change(&self.chat, self.now, &steps)
        return self.finishTurn([], steps)
    }

    private mutating func finishTurn(_ session: [ClientStep], _ chat: [TerminalStep] = [])
        -> [FixtureStep]
    {
        var (session, chat) = (session, chat)
        var out: [FixtureStep] = []
        while true {
            for step in session { self.perform(step, &chat, &out) }
            session = []
            if chat.isEmpty { self.chat.finishTurn(into: &chat) }
            let steps = chat
            chat = []
            for step in steps {
                self.perform(step, &session, &out)
                let now = session
                session = []
                for step in now { self.perform(step, &chat, &out) }
            }
            if chat.isEmpty, steps.isEmpty { return out }
        }
    }

    private mutating func perform(
        _ step: ClientStep, _ chat: inout [TerminalStep], _ out: inout [FixtureStep]
    ) {
        switch step {
        case .connect(let after, _): out.append(.connect(after: after))
        case .send(let text): out.append(.send(text))
        case .emit(let event):
            self.chat.received(event, from: Self.room, at: self.now, into: &chat)
        case .answer(let id, let answer):
            guard let action = self.actions.removeValue(forKey: id) else { return }
            let result: ActionAnswer =
                switch answer {
                case .message, .older, .done: .done
                case .messages(let messages): .messages(messages)
                case .found(let found): .messages(found.messages)
                case .members(let names): .members(names)
                case .failed(let error): .failed(error.description)
                }
            self.chat.answered(action, in: Self.room, with: result, into: &chat)
        case .close: out.append(.close)
        case .drop(let error): out.append(.drop(error))
        case .save, .forget, .requestToken: break
        }
    }

    private mutating func perform(
        _ step: TerminalStep, _ session: inout [ClientStep], _ out: inout [FixtureStep]
    ) {
        switch step {
        case .show(let line), .update(let line): out.append(.show(line))
        case .act(let action, _): self.perform(action, &session)
        case .exit(let status): out.append(.exit(status))
        case .open, .redraw: break
        }
    }

    private mutating func perform(_ action: RoomAction, _ steps: inout [ClientStep]) {
        let now = self.now
        var command: ClientCommand?
        switch action {
        case .post(let text, let localID, let to, let references):
            var item = PendingMessage(
                localID: localID, text: text, to: to, since: .init(milliseconds: 0))
            item.replyTo = references.replyTo
            item.mentioned = references.mentioned
            #expect(throws: Never.self) {
                try self.session.post(item, at: now, into: &steps)
            }
        case .discard(let localID): self.session.discard(localID, at: now, into: &steps)
        case .edit(let id, let text): command = .edit(id, text)
        case .delete(let id): command = .delete(id)
        case .history(let count): command = .page(.newest(count))
        case .members: command = .members
        case .react(let id, let emoji, let isOn): command = .react(id, emoji, isOn: isOn)
        case .pin(let id): command = .pin(id)
        case .unpin(let id): command = .unpin(id)
        case .pins: command = .pins
        case .thread(let id): command = .thread(id, .newest(TerminalChat.threadLimit))
        case .search(let text): command = .search(text, before: nil, limit: 20)
        case .typing(let isTyping): self.session.setTyping(isTyping, at: now, into: &steps)
        case .read(let id): self.session.read(id, at: now, into: &steps)
        case .close: self.session.close(into: &steps)
        case .leave: break
        }
        guard let command else { return }
        self.lastRequestID += 1
        self.actions[self.lastRequestID] = action
        self.session.submit(.command(command), as: self.lastRequestID, at: now, into: &steps)
    }

    mutating func start() -> [FixtureStep] {
        self.apply { session, _, steps in session.start(into: &steps) }
    }
    mutating func open() -> [FixtureStep] { self.apply { $0.opened(at: $1, into: &$2) } }
    mutating func receive(_ text: String) -> [FixtureStep] {
        self.apply { $0.received(Array(text.utf8), at: $1, into: &$2) }
    }
    mutating func type(_ line: String) -> [FixtureStep] {
        self.applyInput { $0.typed(line, at: $1, into: &$2) }
    }
    mutating func endInput() -> [FixtureStep] {
        self.applyInput { chat, now, _ in chat.inputEnded(at: now) }
    }
    mutating func disconnect(_ error: ClientError = .broken(reason: "reset")) -> [FixtureStep] {
        self.apply { $0.disconnected(error, at: $1, into: &$2) }
    }

    /// Advances time in steps of 100 ms.
    mutating func advanceTime(_ duration: Duration) -> [FixtureStep] {
        var steps: [FixtureStep] = []
        let end = self.now.advanced(by: duration)
        while self.now < end {
            self.now = self.now.advanced(by: .milliseconds(100))
            steps += self.apply { $0.tick(at: $1, into: &$2) }
            steps += self.applyInput { $0.tick(at: $1, into: &$2) }
        }
        return steps
    }

    /// Joins the conversation, with `newestFirst` as its history.
    mutating func join(_ newestFirst: [(Int, String, String)] = []) -> [FixtureStep] {
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

extension [FixtureStep] {
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
            case .show(.message(let message)):
                "#\(message.id) \(message.isOwn ? "me" : message.displayName): \(message.text)"
            case .show(.direct(let message, let to)):
                "\(message.isOwn ? "me" : message.displayName) to \(to): \(message.text)"
            case .show(.edited(let message)): "edited #\(message.id): \(message.text)"
            case .show(.deleted(let message)): "deleted #\(message.id)"
            case .show(.reactions(let message)):
                MessageLayout.sentence(aboutReactionsTo: message)
            case .show(.status(let id, let progress)): "#\(id) \(progress.label)"
            case .show(.notice(let sentence)): "notice \(sentence)"
            case .show(.list(let entries)):
                "list " + entries.map { "\($0.term): \($0.text)" }.joined(separator: "|")
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

import Bytes
import ClientTestSupport
import Dialects
import EventLoop
import Foundation
import HTTPWire
import JSON
import Synchronization
import TestKit
import TestTraits
import Testing

@testable import ChatTerminal
@testable import ConfabClient

/// A server of one conversation, with faults that a test configures.
private final class ConversationServer: Sendable {
    struct State: Sendable {
        var messages: [(id: Int, sender: String, content: String, localID: String?)] = []
        var sends: [String] = []
        var targets: [String] = []
        /// This many sends are stored without an answer, and then the connection is dropped.
        var unansweredSends = 0
        /// This many sends are rejected for their rate.
        var rateLimitedSends = 0
    }

    let state = Mutex(State())
    private let serverBox = Mutex<TestServer?>(nil)
    var port: UInt16 { self.serverBox.withLock { $0?.port ?? 0 } }
    var url: String { "ws://127.0.0.1:\(self.port)/conversations/general/" }

    init(_ prepare: (inout State) -> Void = { _ in }) throws {
        self.state.withLock { prepare(&$0) }
        let server = try TestServer { server, token, event in
            switch event {
            case .opened:
                let target = server.target(token)
                let replay = self.state.withLock { state in
                    state.targets.append(target)
                    let after = target.split(separator: "after=").dropFirst().first.flatMap {
                        Int($0)
                    }
                    return after.map { after in state.messages.filter { $0.id > after } } ?? []
                }
                for message in replay { server.send(Self.frame(message), to: token) }
            case .text(let text):
                self.handle(text, server, token)
            case .pong, .closing, .ended: break
            }
        }
        self.serverBox.withLock { $0 = server }
    }

    /// Breaks the reference cycle of server and handler.
    func stop() { self.serverBox.withLock { $0.take() }?.stop() }

    private static func frame(
        _ message: (id: Int, sender: String, content: String, localID: String?)
    ) -> String {
        ChatSessionFixture.message(
            message.id, message.sender, message.content, localID: message.localID)
    }

    private func handle(_ text: String, _ server: TestServer, _ token: SocketToken) {
        guard let frame = try? JSONTree(parsing: text) else { return }
        switch frame["action"]?.stringValue {
        case "fetch_messages":
            let limit = frame["limit"]?.integerValue ?? 20
            let page = self.state.withLock {
                $0.messages.suffix(limit).reversed().map { ($0.id, $0.sender, $0.content) }
            }
            server.send(ChatSessionFixture.page(page), to: token)
        case "send_message":
            let content = frame["content"]?.stringValue ?? ""
            let localID = frame["local_id"]?.stringValue ?? ""
            enum Fate { case limit, swallow, answer(String) }
            let fate = self.state.withLock { state -> Fate in
                state.sends.append(localID)
                if state.rateLimitedSends > 0 {
                    state.rateLimitedSends -= 1
                    return .limit
                }
                var message = state.messages.first { $0.localID == localID }
                if message == nil {
                    message = (state.messages.count + 1, "alice", content, localID)
                    state.messages.append(message!)
                }
                if state.unansweredSends > 0 {
                    state.unansweredSends -= 1
                    return .swallow
                }
                return .answer(Self.frame(message!))
            }
            switch fate {
            case .limit:
                server.send(
                    ChatSessionFixture.failed(localID, "rate limited", retryAfter: "0.05"),
                    to: token)
            case .swallow: server.drop(token)
            case .answer(let frame): server.send(frame, to: token)
            }
        default: break
        }
    }
}

@Suite("confab chat in a pipe", .ownThread)
struct ChatTerminalTests {
    private struct ChatResult {
        let status: Int32
        let output: String
        let errors: String
    }

    /// `alice`'s unsigned token; this server does not check it.
    private static let token = "e30.\(Base64URL.encode(Array(#"{"sub":"alice"}"#.utf8))).c2ln"

    private func chat(
        _ input: String, _ url: String, token: String? = Self.token,
        _ change: (inout ChatTerminalOptions) -> Void = { _ in }
    ) async throws -> ChatResult {
        let (inPipe, outPipe, errorPipe) = (try PrivatePipe(), try PrivatePipe(), try PrivatePipe())
        inPipe.writing.write(Data(input.utf8))
        try? inPipe.writing.close()
        var options = ChatTerminalOptions(url: url, dialects: DialectList.all.chatDialects)
        options.token = token
        options.input = inPipe.reading.fileDescriptor
        options.output = outPipe.writing.fileDescriptor
        options.errors = errorPipe.writing.fileDescriptor
        // Other tests send signals to this process.
        options.terminationSignals = []
        change(&options)
        let chosen = options
        // Read concurrently: a pipe may be full at half of its 64 kB, because a line is not split
        // between two pages.
        async let output = Self.onThread { Self.text(outPipe) }
        async let errors = Self.onThread { Self.text(errorPipe) }
        let status = await Self.onThread { ChatTerminal.run(chosen) }
        try? outPipe.writing.close()
        try? errorPipe.writing.close()
        return ChatResult(status: status, output: await output, errors: await errors)
    }

    /// Runs blocking work on a thread of its own, because the test runner has few threads.
    private static func onThread<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async
        -> Value
    {
        await withCheckedContinuation { done in
            Thread.detachNewThread { done.resume(returning: work()) }
        }
    }

    private static func text(_ pipe: PrivatePipe) -> String {
        String(decoding: pipe.reading.readDataToEndOfFile(), as: UTF8.self)
    }

    @Test("sends its lines in order, waits for their answers, and ends with 0")
    func sending() async throws {
        let conversation = try ConversationServer { $0.messages = [(1, "bob", "old", nil)] }
        defer { conversation.stop() }
        let result = try await self.chat("hello\r\n\nlast", conversation.url)
        #expect(result.status == 0)
        #expect(result.output == "alice: hello\nalice: last\n")
        #expect(result.errors == "")
        #expect(
            conversation.state.withLock { $0.messages.map(\.content) } == ["old", "hello", "last"])
    }

    @Test("loses and repeats nothing when connections break before the answers")
    func breaking() async throws {
        let conversation = try ConversationServer { $0.unansweredSends = 3 }
        defer { conversation.stop() }
        let lines = (1...20).map { "line \($0)" }
        let result = try await self.chat(lines.joined(separator: "\n") + "\n", conversation.url)
        #expect(result.status == 0)
        #expect(result.output == lines.map { "alice: \($0)\n" }.joined())
        #expect(conversation.state.withLock { $0.messages.map(\.content) } == lines)
        let state = conversation.state.withLock { $0 }
        #expect(state.targets.count == 4)
        #expect(Set(state.sends).count == 20)
        #expect(result.errors.contains("Reconnected."))
    }

    @Test("keeps its order under a rate limit")
    func rateLimit() async throws {
        let conversation = try ConversationServer { $0.rateLimitedSends = 5 }
        defer { conversation.stop() }
        let result = try await self.chat("1\n2\n3\n", conversation.url)
        #expect(result.status == 0)
        #expect(result.output == "alice: 1\nalice: 2\nalice: 3\n")
    }

    @Test("accepts thousands of lines without buffering them all")
    func manyLines() async throws {
        let conversation = try ConversationServer()
        defer { conversation.stop() }
        let lines = (1...3000).map { "\($0)" }
        let path = NSTemporaryDirectory() + "confab-chat-\(UUID().uuidString)"
        try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = try #require(FileHandle(forReadingAtPath: path))
        let result = try await self.chat("", conversation.url) { $0.input = file.fileDescriptor }
        #expect(result.status == 0)
        #expect(conversation.state.withLock { $0.messages.map(\.content) } == lines)
        #expect(result.output.utf8.count == lines.reduce(0) { $0 + $1.utf8.count + 8 })
    }

    @Test("displays the requested history")
    func history() async throws {
        let conversation = try ConversationServer {
            $0.messages = [(1, "bob", "one", nil), (2, "carol", "two", nil)]
        }
        defer { conversation.stop() }
        let result = try await self.chat("/history\n", conversation.url)
        #expect(result.output == "bob: one\ncarol: two\n")
        #expect(result.status == 0)
    }

    @Test(
        "exits with 1 and reports the reason",
        arguments: [("/nope", "There is no command /nope"), ("/delete", "/delete takes")])
    func failure(line: String, words: String) async throws {
        let conversation = try ConversationServer()
        defer { conversation.stop() }
        let result = try await self.chat(line + "\n", conversation.url)
        #expect(result.status == 1)
        #expect(result.errors.hasPrefix("confab: \(words)"))
    }

    @Test("does not start without an address, a conversation or a token")
    func refusals() async throws {
        let cases: [(String, String?, String)] = [
            ("http//x", "t", "confab: The URL cannot be used: it must begin with"),
            ("ws://127.0.0.1:1/", "t", "confab: The URL names no conversation"),
            ("ws://127.0.0.1:1/conversations/", "t", "confab: The URL names no conversation"),
            ("ws://127.0.0.1:1/conversations/x", nil, "confab: A token is required"),
            (
                "ws://127.0.0.1:1/conversations/x", "t",
                "confab: 127.0.0.1:1 refuses the connection: nothing listens there."
            ),
            (
                "ws://nobody.invalid/conversations/x", "t",
                "confab: The host nobody.invalid cannot be resolved"
            ),
        ]
        for (url, token, words) in cases {
            let result = try await self.chat("x\n", url, token: token)
            #expect(result.status == 1)
            #expect(result.errors.hasPrefix(words), "\(result.errors)")
            #expect(result.output == "")
        }
    }

    @Test("reads the token from a file, from standard input, from the environment or from the URL")
    func tokens() async throws {
        let conversation = try ConversationServer()
        defer { conversation.stop() }
        let path = NSTemporaryDirectory() + "confab-token-\(UUID().uuidString)"
        try (Self.token + "\n").write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }

        #expect(
            try await self.chat("1\n", conversation.url, token: nil) { $0.tokenFile = path }.output
                == "alice: 1\n")
        #expect(
            try await self.chat("\(Self.token)\n2\n", conversation.url, token: nil) {
                $0.tokenFile = "-"
            }.output == "alice: 2\n")
        let byEnvironment = try await self.chat("3\n", conversation.url, token: nil) {
            $0.environment["CONFAB_TOKEN"] = Self.token
        }
        #expect(byEnvironment.output == "alice: 3\n")
        #expect(
            try await self.chat("4\n", conversation.url + "?token=\(Self.token)", token: nil).output
                == "alice: 4\n")
        let missing = try await self.chat("5\n", conversation.url, token: nil) {
            $0.tokenFile = "/nowhere/token"
        }
        #expect(
            missing.errors == "confab: --token-file: /nowhere/token: No such file or directory.\n")
        // The token is in the target only if it was in the URL.
        #expect(
            conversation.state.withLock { $0.targets.filter { $0.contains("token=") }.count } == 1)
    }

    @Test("reports the server's reason for a rejection")
    func closeCodes() async throws {
        let server = try TestServer { server, token, event in
            if case .opened = event {
                server.close(token, WebSocketCloseCode(rawValue: 4004), reason: "access denied")
            }
        }
        defer { server.stop() }
        let result = try await self.chat(
            "x\n", "ws://127.0.0.1:\(server.port)/conversations/general/")
        #expect(result.status == 1)
        #expect(
            result.errors.hasPrefix(
                """
                confab: Access denied: the token's user may not enter this conversation (access \
                denied).\n
                """
            ))
    }
}

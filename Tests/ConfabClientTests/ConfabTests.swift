import Bytes
import ClientTestSupport
import EventLoop
import Foundation
import HTTPWire
import JSON
import Synchronization
import TestTraits
import Testing

@testable import ConfabClient

/// A server of one conversation, with faults that a test configures.
private final class RoomServer: Sendable {
    struct State: Sendable {
        var texts: [String] = []
        var localIDs: [String] = []
        var targets: [String] = []
        var tokens: [String] = []
        /// This many sends are stored without an answer, and then the connection is dropped.
        var unansweredSends = 0
        /// Sends with this text are refused.
        var refusedText: String?
        /// This many connections are closed with 4003.
        var rejectedTokens = 0
    }

    let state: Mutex<State>
    private let serverBox = Mutex<TestServer?>(nil)
    var url: String { "http://127.0.0.1:\(self.serverBox.withLock { $0?.port ?? 0 })" }

    init(_ state: State = State()) throws {
        self.state = Mutex(state)
        let server = try TestServer { server, token, event in
            switch event {
            case .opened: self.open(server, token)
            case .text(let text): self.handle(text, server, token)
            case .pong, .closing, .ended: break
            }
        }
        self.serverBox.withLock { $0 = server }
    }

    /// Breaks the reference cycle of server and handler.
    func stop() { self.serverBox.withLock { $0.take() }?.stop() }

    private func open(_ server: TestServer, _ token: SocketToken) {
        let target = server.target(token)
        let (isRejected, replay) = self.state.withLock { state in
            state.targets.append(target)
            defer { state.rejectedTokens = max(0, state.rejectedTokens - 1) }
            let after = target.split(separator: "after=").dropFirst().first.flatMap {
                Int($0.prefix { $0.isNumber })
            }
            let replay = after.map { after in state.texts.indices.filter { $0 >= after } } ?? []
            return (state.rejectedTokens > 0, replay.map { self.frame($0, state) })
        }
        if isRejected {
            return server.close(token, WebSocketCloseCode(rawValue: 4003), reason: "expired")
        }
        for frame in replay { server.send(frame, to: token) }
    }

    private func frame(_ index: Int, _ state: State) -> String {
        (["type": "chat_message", "message": self.message(index, state)] as JSONTree).text
    }

    private func message(_ index: Int, _ state: State) -> JSONTree {
        [
            "id": .string(String(index + 1)), "sender_id": "alice",
            "content": .string(state.texts[index]), "timestamp": "2026-01-31T12:00:00.123Z",
            "local_id": .string(state.localIDs[index]), "rev": .integer(index + 1),
        ]
    }

    private func handle(_ text: String, _ server: TestServer, _ token: SocketToken) {
        guard let frame = try? JSONTree(parsing: text) else { return }
        let localID = frame["local_id"]?.stringValue ?? ""
        switch frame["action"]?.stringValue {
        case "fetch_messages":
            let page = self.state.withLock { state in
                let before = frame["before_id"]?.stringValue.flatMap { Int($0) } ?? .max
                let limit = frame["limit"]?.integerValue ?? 20
                return state.texts.indices.filter { $0 + 1 < before }.suffix(limit).reversed().map {
                    self.message($0, state)
                }
            }
            let answer: JSONTree = ["type": "messages_fetched", "messages": .array(page)]
            server.send(answer.text, to: token)
        case "send_message":
            let content = frame["content"]?.stringValue ?? ""
            let answer: String? = self.state.withLock { state in
                if content == state.refusedText {
                    let failed: JSONTree = [
                        "type": "message.failed", "local_id": .string(localID),
                        "error": "content: is not welcome", "outcome": "refused",
                    ]
                    return failed.text
                }
                if !state.localIDs.contains(localID) {
                    state.texts.append(content)
                    state.localIDs.append(localID)
                }
                if state.unansweredSends > 0 {
                    state.unansweredSends -= 1
                    return nil
                }
                return self.frame(state.localIDs.firstIndex(of: localID) ?? 0, state)
            }
            if let answer { server.send(answer, to: token) } else { server.drop(token) }
        case "authenticate":
            self.state.withLock { $0.tokens.append(frame["token"]?.stringValue ?? "") }
        default: break
        }
    }
}

@Suite("The Swift client", .ownThread)
struct ConfabTests {
    /// `alice`'s unsigned token; this server does not check it.
    private static func token(expiresIn seconds: Double? = nil) -> String {
        let expiry = seconds.map { #","exp":\#(Date().timeIntervalSince1970 + $0)"# } ?? ""
        let payload = Data(#"{"sub":"alice"\#(expiry)}"#.utf8).base64EncodedString()
            .replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
        return "e30.\(payload).c2ln"
    }

    @Test("sends each message once when connections break before the answers")
    func sending() async throws {
        let server = try RoomServer(.init(unansweredSends: 3))
        defer { server.stop() }
        let confab = try Confab(server.url, token: Self.token())
        let room = confab.conversation("lobby")
        for number in 1...5 {
            let message = try await room.send("m\(number)")
            #expect(message.id == number)
        }
        #expect(server.state.withLock { $0.texts } == (1...5).map { "m\($0)" })
        #expect(room.messages.map(\.text) == (1...5).map { "m\($0)" })
        #expect(room.messages.allSatisfy { $0.isOwn && $0.state == .sent })
        #expect(room.outbox.isEmpty && room.after == 5 && room.user == "alice")
        await confab.close()
        #expect(room.state == .closed)
        await #expect(throws: ConfabError.closed) { try await room.send("late") }
    }

    @Test("delivers its events to one loop, from the window to the end")
    func events() async throws {
        let server = try RoomServer(.init(texts: ["old"], localIDs: ["x"]))
        defer { server.stop() }
        let confab = try Confab(server.url, token: Self.token())
        let room = confab.conversation("lobby")
        try await room.send("new")
        await confab.close()
        var seen: [String] = []
        for await event in room.events {
            switch event {
            case .reset(let reason, let messages, _):
                seen.append("\(reason) \(messages.map(\.text))")
            case .message(let message): seen.append(message.text)
            case .outbox(_, .stored(let message)): seen.append("stored \(message.id)")
            case .state(let change): seen.append(change.state.rawValue)
            default: break
            }
        }
        #expect(
            seen == [
                "connecting", "opened [\"old\"]", "online", "stored 2", "new", "closed",
            ])
    }

    @Test("loads older messages in front")
    func older() async throws {
        let texts = (1...7).map { "m\($0)" }
        let server = try RoomServer(.init(texts: texts, localIDs: texts))
        defer { server.stop() }
        let confab = try Confab(server.url, token: Self.token(), history: 2)
        let room = confab.conversation("lobby")
        #expect(try await room.older(3))
        #expect(room.messages.map(\.id) == [3, 4, 5, 6, 7])
        #expect(try await !room.older(3))
        #expect(room.messages.map(\.id) == Array(1...7))
        await confab.close()
    }

    @Test("reports a refusal, and keeps the message for another try")
    func refusal() async throws {
        let server = try RoomServer(.init(refusedText: "bad"))
        defer { server.stop() }
        let confab = try Confab(server.url, token: Self.token())
        let room = confab.conversation("lobby")
        await #expect(throws: ConfabError.refused("content: is not welcome")) {
            try await room.send("bad", localID: "b1")
        }
        #expect(room.messages.map(\.state) == [.failed])
        #expect(room.outbox.map(\.error) == ["content: is not welcome"])
        server.state.withLock { $0.refusedText = nil }
        #expect(try await room.send("bad", localID: "b1").id == 1)
        #expect(room.outbox.isEmpty)
        await confab.close()
    }

    @Test("renews a token before it expires, and after it is rejected")
    func renewal() async throws {
        let server = try RoomServer(.init(rejectedTokens: 1))
        defer { server.stop() }
        let calls = Mutex(0)
        let confab = try await Confab(server.url) {
            let count = calls.withLock { count in
                count += 1
                return count
            }
            return Self.token(expiresIn: count == 2 ? 3 : nil)
        }
        let room = confab.conversation("lobby")
        try await room.send("after the rejection")
        #expect(calls.withLock { $0 } == 2)
        // A token that lives for 3 s is renewed after half of its life.
        for await event in room.events {
            if case .error(let reason, _) = event { Issue.record("\(reason)") }
            if server.state.withLock({ !$0.tokens.isEmpty }) { break }
            try await room.send("x")
            try await Task.sleep(for: .milliseconds(100))
        }
        #expect(server.state.withLock { $0.tokens } == [Self.token()])
        await confab.close()
    }

    @Test("stays refused without another token")
    func refusedToken() async throws {
        let server = try RoomServer(.init(rejectedTokens: 9))
        defer { server.stop() }
        let confab = try Confab(server.url, token: Self.token())
        let room = confab.conversation("lobby")
        await #expect(throws: ConfabError.self) { try await room.send("x") }
        #expect(room.state == .refused && confab.state == .refused)
        // The message is still there.
        #expect(room.outbox.map(\.text) == ["x"])
        server.state.withLock { $0.rejectedTokens = 0 }
        room.retryNow()
        try await room.send("y")
        #expect(server.state.withLock { $0.texts } == ["x", "y"])
        await confab.close()
    }

    @Test("cancels a wait without losing the message")
    func cancellation() async throws {
        let confab = try Confab("http://127.0.0.1:1", token: Self.token())
        let room = confab.conversation("lobby")
        let task = Task { () throws(ConfabError) in try await room.send("waiting") }
        while room.outbox.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        await #expect(throws: ConfabError.cancelled) { try await task.value }
        #expect(room.outbox.map(\.text) == ["waiting"])
        await confab.close()
    }

    @Test("sends what a file retained from a process that ended, once and in order")
    func store() async throws {
        let server = try RoomServer()
        defer { server.stop() }
        let path = NSTemporaryDirectory() + "confab-outbox-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let offline = try Confab("http://127.0.0.1:1", token: Self.token(), store: path)
        for text in ["one", "two\nlines", "three"] {
            try offline.conversation("lobby").post(text)
        }
        #expect(throws: ConfabError.store(path: path, reason: "it is in use by another client")) {
            try Confab("http://127.0.0.1:1", token: Self.token(), store: path)
        }
        await offline.close()
        let confab = try Confab(server.url, token: Self.token(), store: path)
        try await confab.conversation("lobby").send("four")
        #expect(server.state.withLock { $0.texts } == ["one", "two\nlines", "three", "four"])
        await confab.close()
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "")
    }

    @Test("checks its options", arguments: ["url", "token", "history", "keep", "store"])
    func options(name: String) {
        let error = #expect(throws: ConfabError.self) {
            switch name {
            case "url": try Confab("nonsense", token: "t")
            case "token": try Confab("http://127.0.0.1:1")
            case "history": try Confab("http://127.0.0.1:1", token: "t", history: 101)
            case "keep": try Confab("http://127.0.0.1:1", token: "t", keep: 1)
            default: try Confab("http://127.0.0.1:1", token: "t", store: "/nowhere/outbox")
            }
        }
        let text = error?.description.lowercased() ?? ""
        #expect(text.contains(name), "\(text)")
    }
}

@Suite("The file of an outbox")
struct PendingMessageStoreTests {
    private let path = NSTemporaryDirectory() + "confab-outbox-\(UUID().uuidString)"

    private func item(_ id: String) -> PendingMessage {
        PendingMessage(localID: id, text: "text of \(id)", since: .init(milliseconds: 5))
    }

    @Test("ignores a record that was not completed, at every byte")
    func torn() throws {
        defer { try? FileManager.default.removeItem(atPath: self.path) }
        let store = try PendingMessageStore(self.path)
        try store.save(self.item("a"), of: "lobby")
        let complete = try Data(contentsOf: URL(fileURLWithPath: self.path))
        try store.save(self.item("b"), of: "lobby")
        let both = try Data(contentsOf: URL(fileURLWithPath: self.path))
        store.close()
        for count in complete.count..<both.count {
            try both.prefix(count).write(to: URL(fileURLWithPath: self.path))
            let opened = try PendingMessageStore(self.path)
            #expect(opened.items(of: "lobby").map(\.localID) == ["a"])
            opened.close()
        }
    }

    @Test("is free for another client once it is closed, although a child has its descriptor")
    func inherited() throws {
        defer { try? FileManager.default.removeItem(atPath: self.path) }
        let store = try PendingMessageStore(self.path)
        // A child between fork and exec has a copy of every descriptor.
        var status = stat()
        #expect(stat(self.path, &status) == 0)
        // Up to the kernel's limit, because other tests have thousands of descriptors open.
        let descriptor = try #require(
            (0..<Int32(1 << 20)).first { candidate in
                var other = stat()
                return fstat(candidate, &other) == 0 && other.st_ino == status.st_ino
                    && other.st_dev == status.st_dev
            })
        let copy = dup(descriptor)
        defer { close(copy) }
        #expect(throws: ConfabError.self) { try PendingMessageStore(self.path) }
        store.close()
        try PendingMessageStore(self.path).close()
    }

    @Test("can be opened once an unreadable line is removed")
    func repaired() throws {
        defer { try? FileManager.default.removeItem(atPath: self.path) }
        try Data("nonsense\n".utf8).write(to: URL(fileURLWithPath: self.path))
        let error = #expect(throws: ConfabError.self) { try PendingMessageStore(self.path) }
        #expect(error?.description.contains("line 1 is not a record") == true)
        try Data().write(to: URL(fileURLWithPath: self.path))
        try PendingMessageStore(self.path).close()
    }

    @Test("retains states and order, by conversation")
    func states() throws {
        defer { try? FileManager.default.removeItem(atPath: self.path) }
        var store = try PendingMessageStore(self.path)
        for id in ["a", "b", "c"] { try store.save(self.item(id), of: "lobby") }
        try store.save(self.item("a"), of: "dev")
        var failed = self.item("b")
        failed.error = "no"
        try store.save(failed, of: "lobby")
        try store.forget("a", of: "lobby")
        store.close()
        store = try PendingMessageStore(self.path)
        #expect(store.items(of: "lobby").map(\.localID) == ["b", "c"])
        #expect(store.items(of: "lobby").map(\.error) == ["no", nil])
        #expect(store.items(of: "dev").map(\.localID) == ["a"])
        store.close()
    }

    @Test("rejects a file of another kind, and names the line")
    func foreign() throws {
        defer { try? FileManager.default.removeItem(atPath: self.path) }
        try Data("{\"hello\":1}\n".utf8).write(to: URL(fileURLWithPath: self.path))
        #expect(
            throws: ConfabError.store(
                path: self.path, reason: "line 1 is not a record of an outbox")
        ) { try PendingMessageStore(self.path) }
    }
}

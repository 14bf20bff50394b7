import Bytes
import ChatModel
import Configuration
import EventLoop
import ExampleStore
import StoreKit
import StoreTestSupport
import Stores
import Telemetry
import TestKit
import TestTraits
import Testing

/// The second of the two lines that add a store; the first is its module in `Package.swift`.
private let stores =
    StoreList.all + [StoreRow(.example, check: ExampleStore.check) { ExampleStore($0) }]

private let table = CommandTable(.none, stores.choices)

@Suite("A third store", .ownThread)
struct ExampleStoreTests {
    private static let key = ConversationKey(tenant: "acme", id: "rex")

    private func options(_ line: String) throws -> ServeOptions {
        let words = ["serve"] + line.split(separator: " ").map(String.init)
        guard case .serve(let options) = try Invocation(words, environment: [:], table) else {
            throw TestFailure("\(line) are no options of serve")
        }
        return options
    }

    private func error(_ line: String) throws -> String {
        let error = #expect(throws: UsageError.self) { try self.options(line) }
        return try #require(error).description
    }

    /// Opens the store as a node does.
    private func open(_ line: String) throws -> any NodeStore {
        try stores.open(
            StoreSettings(
                self.options(line), name: "n1", incarnation: 1, outbox: nil,
                logger: Logger(level: .error, format: .text, writer: LogWriter()),
                clusterKey: { throw TestFailure("a store for one node needs no cluster key") }))
    }

    @Test("has its place in the options, their help, their errors and their completion")
    func options() throws {
        let options = try self.options("--store example:cats --history 0")
        #expect(options.store.description == "example:cats")
        #expect(options.anonymous && options.limits.retention == .zero)
        #expect(options.store.file("secret") == "confab.secret")
        #expect(try self.options("").store.description == "sqlite:confab.db")
        let help = table.all.map(HelpText.text).joined().split(whereSeparator: \.isWhitespace)
            .joined(separator: " ")
        #expect(
            help.contains("the message store: sqlite:PATH, memory:, redis://, or example:NAME"))
        #expect(Shell.bash.completionScript(table).contains("example:"))
        #expect(
            try self.error("--store example:")
                == "confab: --store: the name is missing: example:NAME")
        #expect(
            try self.error("--store exampel:cats")
                == """
                confab: --store: unknown store kind "exampel"; use memory:, sqlite:PATH, \
                redis://HOST:PORT, redis+sentinel://, redis+cluster:// or example:NAME
                """)
        #expect(
            try self.error("--store memory: --history 0")
                == """
                confab: --history: 0 retains all messages, which only sqlite: and example: supports
                """)
    }

    @Test("is checked before a start, and opened by its address")
    func opening() async throws {
        try stores.check(self.options("--store example:cats"))
        #expect(throws: StoreFailure.self) {
            try stores.check(self.options("--store example:busy"))
        }
        let loop = try EventLoop.start(name: "example")
        defer { loop.stop() }
        let first = try self.open("--store example:cats")
        let store = first.chatStore(on: loop, 0)
        var owner = await store.createConversation(Self.key)
        #expect(await store.write([owner.post("meow")], by: owner) == .stored)
        first.close()
        let again = try self.open("--store example:cats").chatStore(on: loop, 0)
        #expect(await again.page(Self.key, .newest)?.messages.map(\.body.content) == ["meow"])
        let other = try self.open("--store example:dogs").chatStore(on: loop, 0)
        #expect(await other.load(Self.key) == nil)
    }
}

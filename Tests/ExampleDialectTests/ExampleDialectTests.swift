import ChatTerminal
import ConfabClient
import Configuration
import DialectKit
import Dialects
import ExampleDialect
import Foundation
import Gateway
import GatewayTestSupport
import Identity
import LoadGenerator
import TestKit
import TestTraits
import Testing

/// The second of the two lines that add a dialect; the first is its module in `Package.swift`.
private let dialects =
    DialectList.all + [DialectRow(.example, load: [.example]) { _ in ExampleDialect() }]

@Suite("A sixth dialect", .ownThread)
struct ExampleDialectTests {
    private func node() throws -> TestNode {
        let settings = DialectSettings(secret: TestNode.secret, clusterName: "test")
        return try TestNode(dialects: dialects.map { $0.server(settings) }) {
            $0.live.limits.allowEverything()
        }
    }

    /// Runs a command line of `confab chat` in this process.
    ///
    /// - Returns: the exit status, the standard output, and the standard error.
    private func chat(_ line: String, input: String) async throws -> (Int32, String, String) {
        let words = line.split(separator: " ").map(String.init)
        guard
            case .chat(let chosen) = try Invocation(
                ["chat"] + words, environment: [:], CommandTable(dialects.choices, .none))
        else { throw TestFailure("\(line) is no chat") }
        let (inPipe, outPipe, errorPipe) = (try PrivatePipe(), try PrivatePipe(), try PrivatePipe())
        inPipe.writing.write(Data(input.utf8))
        try? inPipe.writing.close()
        var options = ChatTerminalOptions(url: chosen.url, dialects: dialects.chatDialects)
        options.dialect = dialects.chatDialects.first { $0.name == chosen.dialect }
        (options.conversation, options.token) = (chosen.conversation, chosen.token)
        options.input = inPipe.reading.fileDescriptor
        options.output = outPipe.writing.fileDescriptor
        options.errors = errorPipe.writing.fileDescriptor
        options.terminationSignals = []
        let final = options
        let status = await withCheckedContinuation { done in
            Thread.detachNewThread { done.resume(returning: ChatTerminal.run(final)) }
        }
        try? outPipe.writing.close()
        try? errorPipe.writing.close()
        return (status, Self.text(outPipe), Self.text(errorPipe))
    }

    private static func text(_ pipe: PrivatePipe) -> String {
        String(decoding: pipe.reading.readDataToEndOfFile(), as: UTF8.self)
    }

    @Test("is spoken by confab chat, in one conversation with clients of another protocol")
    func terminal() async throws {
        let node = try self.node()
        let bob = try node.conversationClient("bob")
        let url = "ws://127.0.0.1:\(node.port)"
        let ann = try TestNode.token("ann")
        let (status, output, errors) = try await self.chat(
            "--dialect example \(url) --conversation room --token \(ann)", input: "hello\n\"é\n")
        #expect((status, errors) == (0, ""))
        #expect(output == "ann: hello\nann: \"é\n")
        for content in ["hello", "\"é"] {
            let message = try bob.next("chat_message").object("message")
            #expect(message?["sender_id"] == "ann")
            #expect(message?["content"] == content)
        }
        // The URL's path names the protocol and the conversation.
        let path = try await self.chat("\(url)/example/room --token \(ann)", input: "again\n")
        #expect(path == (0, "ann: again\n", ""))
    }

    @Test("has its errors and its place in the options")
    func options() async throws {
        let node = try self.node()
        let url = "ws://127.0.0.1:\(node.port)"
        let eve = try TestNode.token("eve", grants: .none)
        let (status, _, errors) = try await self.chat(
            "--dialect example \(url) --conversation room --token \(eve)", input: "")
        #expect(status == 1)
        #expect(errors.contains("access denied"))
        let (missing, _, sentence) = try await self.chat(
            "--dialect example \(url) --token \(eve)", input: "")
        #expect(missing == 1)
        #expect(
            sentence
                == """
                confab: The Example protocol needs a conversation: give one with --conversation.

                """)
        let table = CommandTable(dialects.choices, .none)
        #expect(
            table.all.map(HelpText.text).contains {
                $0.contains("--dialect conversations|pets|chats|rooms|agents|example")
            })
        #expect(throws: UsageError.self) {
            try Invocation(["chat", "--dialect", "exampel", url], environment: [:], table)
        }
    }

    @Test(
        "is spoken by confab bench, alone and mixed with the others",
        arguments: ["example", "mixed"])
    func load(adapter: String) async throws {
        let node = try self.node()
        let secret = try node.folder.write(TestNode.secret, to: "jwt.secret")
        let line =
            "bench groups ws://127.0.0.1:\(node.port) --connections 24 --groups 2 --rate 100 "
            + "--seconds 0.5 --warmup 0 --settle 0 --secret-file \(secret) --adapter \(adapter)"
        guard
            case .bench(let options) = try Invocation(
                line.split(separator: " ").map(String.init), environment: [:],
                CommandTable(dialects.choices, .none))
        else { throw TestFailure("\(line) is no bench") }
        let (status, text): (Int32, String) = await withCheckedContinuation { done in
            Thread.detachNewThread {
                var text = ""
                let status = Benchmark.run(
                    options, adapters: dialects.loadAdapters, write: { text += $0 },
                    printError: { text += $0 })
                done.resume(returning: (status, text))
            }
        }
        #expect(status == 0, "\(text)")
    }
}

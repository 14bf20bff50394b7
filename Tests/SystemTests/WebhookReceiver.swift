import Foundation
import TestKit

/// A receiver of webhooks that runs.
final class WebhookReceiver {
    struct ReceivedWebhook: Equatable {
        let status: Int
        let id: String
        let type: String
        let conversation: String
        let content: String
    }

    private let folder: TemporaryFolder
    private let process: ChildProcess
    let port: UInt16

    init(_ behaviour: String = "ok") throws {
        let folder = try TemporaryFolder()
        self.folder = folder
        let file = try folder.write(behaviour, to: "behaviour")
        self.process = try ChildProcess(
            Checkout.python(),
            [Checkout.file("Tests/SystemTests/Clients/webhook_receiver.py"), "0", file],
            folder: folder.path)
        do {
            let line = try self.process.output.line(with: "receiver on port ")
            guard let port = line.split(separator: " ").last.flatMap({ UInt16($0) }) else {
                throw TestFailure("no port in \(line)")
            }
            self.port = port
        } catch {
            self.process.kill()
            throw error
        }
    }

    deinit { self.process.kill() }

    var url: String { "\(self.origin)/events" }
    /// What operators see of the URL.
    var origin: String { "http://127.0.0.1:\(self.port)" }

    /// The options of a node that sends its events here.
    var options: [String] { ["--webhook", self.url, "--webhook-allow", "127.0.0.0/8"] }

    /// Changes what later requests get, and in which conversations: `ok`, `fail`, `hang`, `gone`,
    /// `endless`, `unix`.
    func behave(_ behaviour: String) throws {
        // A request never finds an empty file.
        let draft = try self.folder.write(behaviour, to: "draft")
        guard rename(draft, self.folder.file("behaviour")) == 0 else {
            throw TestFailure("the behaviour cannot be written")
        }
    }

    /// The answered requests, in order.
    var requests: [ReceivedWebhook] {
        self.process.output.lines.compactMap { line in
            let words = line.split(separator: " ", maxSplits: 4).map(String.init)
            guard words.count == 5, let status = Int(words[0]) else { return nil }
            return ReceivedWebhook(
                status: status, id: words[1], type: words[2], conversation: words[3],
                content: words[4])
        }
    }

    /// The contents of the accepted messages of a conversation, in order, repetitions left out.
    func messages(in conversation: String = "lobby") -> [String] {
        var ids: Set<String> = []
        return self.requests.filter {
            $0.status == 204 && $0.type == "message.created" && $0.conversation == conversation
                && ids.insert($0.id).inserted
        }.map(\.content)
    }

    /// Waits for these messages of a conversation, and for no others.
    func awaitMessages(
        _ contents: [String], in conversation: String = "lobby",
        within time: Duration = Deadline.defaultTimeout
    ) throws {
        do {
            try Deadline.wait(
                for: "\(contents.count) messages of \(conversation)", within: time,
                untilTrue: { self.messages(in: conversation).count >= contents.count })
        } catch {
            throw TestFailure("\(error); there are \(self.requests)")
        }
        guard self.messages(in: conversation) == contents else {
            throw TestFailure("\(self.messages(in: conversation)) instead of \(contents)")
        }
    }

    /// Waits until a request has begun or was answered with this status.
    func awaitRequest(_ start: String, of conversation: String = "lobby") throws {
        try Deadline.wait(
            for: "a request \(start)",
            untilTrue: {
                self.process.output.lines.contains {
                    $0.hasPrefix("\(start) ") && $0.contains(" \(conversation)")
                }
            })
    }
}

// One client for the fault harness: commands on stdin, events on stdout, one JSON object per line.
//
// Commands  {"do":"open","url":…,"token":…,"conversation":…,"store":PATH or null}
//           {"do":"send","text":…,"local_id":…,"reply_to":ID or absent,"mentions":[…] or absent}
//           {"do":"edit","id":…,"text":…}   {"do":"delete","id":…}
//           {"do":"react","id":…,"emoji":…,"on":…}   {"do":"pin","id":…}   {"do":"unpin","id":…}
//           {"do":"messages"}   {"do":"older","limit":50}   {"do":"close"}
// Events    state, message, change, remove, reactions, pinned, unpinned, reset, stored, failed,
//           messages; done, with the command in "do", for a reaction or a pin that is acknowledged;
//           and error, with the command in "do", for a request that the server refused.
//
// The end of the input closes the client. `clients/python/tests/driver.py` is the same for the kit
// for Python.
import ConfabClient
import Foundation
import JSON

func write(_ event: String, _ members: KeyValuePairs<String, JSONTree> = [:]) {
    write(event, members.map { JSONTree.ObjectMember($0.key, $0.value) })
}

func write(_ event: String, _ members: [JSONTree.ObjectMember]) {
    let object = [JSONTree.ObjectMember("event", .string(event))] + members
    FileHandle.standardOutput.write(Data("\(JSONTree.object(object).text)\n".utf8))
}

func optional(_ text: String?) -> JSONTree { text.map { .string($0) } ?? .null }

func counts(_ message: ChatMessage) -> JSONTree {
    .object(message.reactions.map { .init($0.emoji, .integer($0.count)) })
}

func shown(_ message: ChatMessage) -> JSONTree {
    let mentions: JSONTree =
        switch message.mentioned {
        case .all: "all"
        case .users(let users): .array(users.map { .string($0) })
        }
    return [
        "id": message.id == 0 ? .null : .string(String(message.id)),
        "author": .string(message.author), "text": .string(message.text),
        "local_id": optional(message.localID), "state": .string("\(message.state)"),
        "rev": .integer(message.rev), "reply_to": optional(message.replyTo.map { "\($0)" }),
        "thread": optional(message.thread.map { "\($0)" }),
        "excerpt": optional(message.replyExcerpt?.text), "mentions": mentions,
        "reactions": counts(message), "pinned": .bool(message.pinned != nil),
    ]
}

func report(_ event: ConversationEvent) {
    switch event {
    case .message(let message):
        write("message", (shown(message).members ?? []).filter { $0.name != "state" })
    case .change(let message):
        write(
            "change",
            [
                "id": .string(String(message.id)), "text": .string(message.text),
                "rev": .integer(message.rev),
            ])
    case .remove(let message):
        write("remove", ["id": .string(String(message.id)), "rev": .integer(message.rev)])
    case .reactions(let message):
        write("reactions", ["id": .string(String(message.id)), "reactions": counts(message)])
    case .pinned(let message, _): write("pinned", ["id": .string(String(message.id))])
    case .unpinned(let message, _): write("unpinned", ["id": .string(String(message.id))])
    case .reset(let reason, let messages, _):
        write(
            "reset",
            [
                "reason": .string(reason.rawValue), "messages": .array(messages.map(shown)),
            ])
    case .outbox(let localID, .stored(let message)):
        write(
            "stored", ["local_id": .string(localID), "id": .string(String(message.id))])
    case .outbox(let localID, .failed(let reason)):
        write(
            "failed",
            ["local_id": .string(localID), "error": .string(reason), "retry": false])
    case .state(let change):
        write(
            "state",
            [
                "state": .string(change.state.rawValue),
                "reason": change.reason.isEmpty ? .null : .string(change.reason),
            ])
    case .error(let reason, let action):
        write("error", ["do": optional(action), "error": .string(reason)])
    default: break
    }
}

/// Reports the error of a call. A send has events of its own, also after a restart.
func attempt(_ name: String, _ call: () async throws(ConfabError) -> Void) async {
    do throws(ConfabError) {
        try await call()
    } catch .closed {
    } catch {
        write("error", ["do": .string(name), "error": .string(error.description)])
    }
}

/// The client of this process.
struct Driver {
    private var confab: Confab?
    private var room: ConfabConversation?

    /// Returns whether another command may follow.
    mutating func execute(_ command: JSONTree) async throws -> Bool {
        let name = command["do"]?.stringValue ?? ""
        if name == "open" {
            try self.open(command)
            return true
        }
        if name == "close" { return false }
        guard let room = self.room else {
            write("error", ["do": .string(name), "error": "open comes first"])
            return true
        }
        let text = command["text"]?.stringValue ?? ""
        let id = (command["id"]?.stringValue).flatMap { Int($0) } ?? command["id"]?.integerValue
        switch name {
        case "send":
            let localID = command["local_id"]?.stringValue
            let replyTo = (command["reply_to"]?.stringValue).flatMap { Int($0) }
            let users = (command["mentions"]?.elements ?? []).compactMap(\.stringValue)
            await attempt("send") { () async throws(ConfabError) in
                try room.post(
                    text, replyTo: replyTo, mentions: .users(users), localID: localID)
            }
        case "react", "pin", "unpin":
            let emoji = command["emoji"]?.stringValue ?? ""
            let isOn = command["on"]?.boolValue ?? true
            Task {
                await attempt(name) { () async throws(ConfabError) in
                    switch name {
                    case "react": try await room.react(id ?? 0, emoji, on: isOn)
                    case "pin": try await room.pin(id ?? 0)
                    default: try await room.unpin(id ?? 0)
                    }
                    write("done", command.members ?? [])
                }
            }
        case "edit":
            Task {
                await attempt("edit") { () async throws(ConfabError) in
                    try await room.edit(id ?? 0, text)
                }
            }
        case "delete":
            Task {
                await attempt("delete") { () async throws(ConfabError) in
                    try await room.delete(id ?? 0)
                }
            }
        case "older":
            let limit = command["limit"]?.integerValue ?? 50
            await attempt("older") { () async throws(ConfabError) in
                _ = try await room.older(limit)
            }
        case "messages":
            write("messages", ["messages": .array(room.messages.map(shown))])
        default: write("error", ["do": .string(name), "error": "unknown command"])
        }
        return true
    }

    private mutating func open(_ command: JSONTree) throws {
        let confab = try Confab(
            command["url"]?.stringValue ?? "", token: command["token"]?.stringValue,
            store: command["store"]?.stringValue)
        let room = confab.conversation(command["conversation"]?.stringValue ?? "")
        room.setListener(report)
        self.confab = confab
        self.room = room
    }

    func close() async { await self.confab?.close() }
}

func drive() async {
    let (lines, input) = AsyncStream.makeStream(of: String.self)
    Thread.detachNewThread {
        while let line = readLine() { input.yield(line) }
        input.finish()
    }
    var driver = Driver()
    do {
        for await line in lines {
            guard try await driver.execute(JSONTree(parsing: line)) else { break }
        }
    } catch {
        write("error", ["do": "open", "error": .string("\(error)")])
    }
    await driver.close()
}

await drive()

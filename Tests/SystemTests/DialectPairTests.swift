import Foundation
import TestKit
import Testing

/// Every protocol with every other in one conversation, with real connections.
@Suite("Two people who speak different protocols")
struct DialectPairTests {
    /// One of them, connected.
    final class Person {
        let speaker: Speaker
        private let user: String
        private let conversation: String
        private let socket: WebSocketClient
        private var unheard: [Speaker.Heard] = []

        init(_ speaker: Speaker, as user: String, in conversation: String, at port: UInt16, secret: String, after: Int? = nil) throws {
            (self.speaker, self.user, self.conversation) = (speaker, user, conversation)
            let token = try ConfabServer.token(for: user, conversations: [conversation], secret: secret)
            self.socket = try WebSocketClient(speaker.path(conversation, token, after), port: port)
            for (behind, text) in speaker.enter(conversation) {
                while try !behind.isEmpty && !self.next(Deadline()).hasPrefix(behind) {}
                try self.socket.send(text)
            }
        }

        private func next(_ deadline: Deadline) throws -> String {
            let event = try self.socket.next(within: deadline.rest)
            guard case .text(let text) = event else { throw TestFailure("\(self.user)'s connection has ended: \(event)") }
            self.unheard += self.speaker.heard(text, self.user)
            return text
        }

        func say(_ content: String) throws { try self.socket.send(self.speaker.say(self.conversation, content)) }

        /// Asks for what was said behind a message, where it does not come by itself.
        func catchUp(after id: Int) throws {
            if let missed = self.speaker.missed { try self.socket.send(missed(self.conversation, id)) }
        }

        func type() throws { if let type = self.speaker.type { try self.socket.send(type(self.conversation)) } }
        func read(_ id: Int) throws { if let read = self.speaker.read { try self.socket.send(read(self.conversation, id)) } }

        /// Waits for this; what comes before it is let pass.
        func hear(_ wanted: Speaker.Heard) throws {
            let deadline = Deadline()
            var passed: [String] = []
            while true {
                if let place = self.unheard.firstIndex(of: wanted) {
                    self.unheard.removeSubrange(...place)
                    return
                }
                do {
                    passed.append(try self.next(deadline))
                } catch {
                    throw TestFailure("\(self.user) waits for \(wanted): \(error) after \(passed.suffix(5))")
                }
            }
        }

        func hear(_ id: Int, _ author: String, _ content: String) throws {
            try self.hear(.message(id: id, author: author, content: content))
        }

        /// Waits until this user is inside: what others say from here on comes.
        func settle() throws {
            let mark = "are you inside?"
            try self.socket.send(self.speaker.ask(mark))
            let deadline = Deadline()
            while try !self.next(deadline).contains(mark) {}
            self.unheard = []
        }

        /// Waits until this user's send is refused, and says in which words; a message behind this one is an error.
        func refusal(behind id: Int) throws -> String {
            let deadline = Deadline()
            while true {
                while let heard = self.unheard.first {
                    self.unheard.removeFirst()
                    if case .refused(let words) = heard { return words }
                    if case .message(let number, _, _) = heard, number > id { throw TestFailure("\(self.user) hears \(heard)") }
                }
                _ = try self.next(deadline)
            }
        }

        func leave() throws { try self.socket.close(1000) }
    }

    /// The conversation is ended by its creator, by REST: no other protocol has a word for that.
    private func end(_ conversation: String, by user: String, at port: UInt16, secret: String) throws {
        let token = try ConfabServer.token(for: user, conversations: [conversation], secret: secret)
        let reply = try HTTPReply.post(
            "/api/conversations/\(conversation)/end", "{}", port: port, fields: ["Authorization": "Bearer \(token)"])
        guard reply.status == 200 else { throw TestFailure("\(conversation) cannot be ended: \(reply)") }
    }

    /// Enter, send, type, read, leave, be offline, come back and hear what was missed, end.
    private func story(_ left: Speaker, _ right: Speaker, at ports: (UInt16, UInt16), secret: String) throws {
        let room = "\(left.name)-\(right.name)"
        var ann = try Person(left, as: "ann", in: room, at: ports.0, secret: secret)
        try ann.settle()
        let bob = try Person(right, as: "bob", in: room, at: ports.1, secret: secret)
        try bob.settle()
        try ann.say("one")
        try bob.hear(1, "ann", "one")
        try bob.say("two")
        try ann.hear(2, "bob", "two")

        try ann.type()
        if left.type != nil, right.tells.contains(.typing) { try bob.hear(.typing("ann")) }
        try ann.read(2)
        if left.read != nil, right.tells.contains(.reading) { try bob.hear(.read("ann", through: 2)) }

        // Ann is away, and comes back: what was said meanwhile is there, once.
        try ann.leave()
        if right.tells.contains(.presence) { try bob.hear(.gone("ann")) }
        try bob.say("three")
        let carol = try Person(.conversations, as: "carol", in: room, at: ports.0, secret: secret, after: 2)
        try carol.hear(3, "bob", "three")
        ann = try Person(left, as: "ann", in: room, at: ports.0, secret: secret, after: 2)
        try ann.catchUp(after: 2)
        try ann.hear(3, "bob", "three")
        try bob.say("four")
        try ann.hear(4, "bob", "four")

        try self.end(room, by: "ann", at: ports.1, secret: secret)
        if right.tells.contains(.end) { try bob.hear(.ended) }
        for person in [ann, bob] {
            try person.say("five")
            try person.hear(.refused("conversation ended"))
        }
    }

    @Test("tell each other the whole story at one node", arguments: Speaker.all, Speaker.all)
    func oneNode(_ left: Speaker, _ right: Speaker) throws {
        let server = try ConfabServer()
        try self.story(left, right, at: (server.port, server.port), secret: ConfabServer.secret)
    }

    @Test("tell each other the whole story at two nodes")
    func twoNodes() throws {
        let cluster = try LocalCluster(["2"])
        let secret = try cluster.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
        for left in Speaker.all {
            for right in Speaker.all {
                try self.story(left, right, at: (cluster.nodes[0].port, cluster.nodes[1].port), secret: secret)
            }
        }
    }
}

import Foundation
import TestKit
import Testing

/// Every protocol with every other in one conversation, with real connections.
@Suite("Two people who speak different protocols")
struct DialectPairTests {
    /// One of them, connected.
    private final class Person {
        private let speaker: Speaker
        private let user: String
        private let conversation: String
        private let socket: WebSocketClient
        private var unheard: [Speaker.Heard] = []

        init(_ speaker: Speaker, as user: String, in conversation: String, at port: UInt16, secret: String, after: Int? = nil) throws {
            (self.speaker, self.user, self.conversation) = (speaker, user, conversation)
            let token = try ConfabServer.token(for: user, conversations: [conversation], secret: secret)
            self.socket = try WebSocketClient(speaker.path(conversation, token, after), port: port)
            if let enter = speaker.enter { try self.send(enter(conversation)) }
        }

        private func send(_ frame: [String: Any]) throws {
            try self.socket.send(String(decoding: JSONSerialization.data(withJSONObject: frame), as: UTF8.self))
        }

        func say(_ content: String) throws { try self.send(self.speaker.say(self.conversation, content)) }

        /// Asks for what was said behind a message, where it does not come by itself.
        func catchUp(after id: Int) throws {
            if let missed = self.speaker.missed { try self.send(missed(self.conversation, id)) }
        }

        /// Waits for this message; those before it are let pass.
        func hear(_ wanted: Speaker.Heard) throws {
            let deadline = Deadline()
            var passed: [String] = []
            while true {
                if let place = self.unheard.firstIndex(of: wanted) {
                    self.unheard.removeSubrange(...place)
                    return
                }
                guard case .text(let text) = try self.socket.next(within: deadline.rest) else {
                    throw TestFailure("\(self.user) waits for \(wanted), and the connection ended after \(passed)")
                }
                passed.append(text)
                let frame = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
                self.unheard += self.speaker.heard(frame, self.user)
            }
        }

        /// Waits until this user is inside: what others say from here on comes.
        func settle() throws {
            let mark = "are you inside?"
            try self.send(["action": mark, "event": mark, "type": mark])
            let deadline = Deadline()
            while true {
                guard case .text(let text) = try self.socket.next(within: deadline.rest) else {
                    throw TestFailure("\(self.user) is outside")
                }
                if text.contains(mark) { return }
            }
        }

        func leave() throws { try self.socket.close(1000) }
    }

    private func story(_ left: Speaker, _ right: Speaker, at ports: (UInt16, UInt16), secret: String) throws {
        let room = "\(left.name)-\(right.name)"
        var ann = try Person(left, as: "ann", in: room, at: ports.0, secret: secret)
        try ann.settle()
        let bob = try Person(right, as: "bob", in: room, at: ports.1, secret: secret)
        try bob.settle()
        try ann.say("one")
        try bob.hear(.init(id: 1, author: "ann", content: "one"))
        try bob.say("two")
        try ann.hear(.init(id: 2, author: "bob", content: "two"))
        // Ann is away, and comes back: what was said meanwhile is there, once.
        try ann.leave()
        try bob.say("three")
        let carol = try Person(.conversations, as: "carol", in: room, at: ports.0, secret: secret, after: 2)
        try carol.hear(.init(id: 3, author: "bob", content: "three"))
        ann = try Person(left, as: "ann", in: room, at: ports.0, secret: secret, after: 2)
        try ann.catchUp(after: 2)
        try ann.hear(.init(id: 3, author: "bob", content: "three"))
        try bob.say("four")
        try ann.hear(.init(id: 4, author: "bob", content: "four"))
    }

    @Test("hear each other at one node", arguments: Speaker.all, Speaker.all)
    func oneNode(_ left: Speaker, _ right: Speaker) throws {
        let server = try ConfabServer()
        try self.story(left, right, at: (server.port, server.port), secret: ConfabServer.secret)
    }

    @Test("hear each other at two nodes")
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

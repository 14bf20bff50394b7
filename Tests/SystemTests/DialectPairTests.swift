import Foundation
import TestKit
import TestTraits
import Testing

/// Each pair of protocols in one conversation, with real connections.
@Suite("Two users with different protocols", .programs, .ownThread)
struct DialectPairTests {
    /// A connected user of one protocol.
    final class DialectParticipant {
        let adapter: ProtocolAdapter
        private let user: String
        private let conversation: String
        private let socket: RawWebSocketClient
        private var unmatchedEvents: [ProtocolAdapter.ReceivedEvent] = []

        init(
            _ adapter: ProtocolAdapter, as user: String, in conversation: String, at port: UInt16,
            secret: String, after: Int? = nil
        ) throws {
            (self.adapter, self.user, self.conversation) = (adapter, user, conversation)
            let token = try ConfabServer.token(
                for: user, conversations: [conversation], secret: secret)
            self.socket = try RawWebSocketClient(
                adapter.path(conversation, token, after), port: port)
            for (behind, text) in adapter.entryFrames(conversation) {
                while try !behind.isEmpty && !self.next(Deadline()).hasPrefix(behind) {}
                try self.socket.send(text)
            }
        }

        private func next(_ deadline: Deadline) throws -> String {
            let event = try self.socket.next(within: deadline.remaining)
            guard case .text(let text) = event else {
                throw TestFailure("\(self.user)'s connection has ended: \(event)")
            }
            self.unmatchedEvents += self.adapter.events(text, self.user)
            return text
        }

        func sendMessage(_ content: String) throws {
            try self.socket.send(self.adapter.messageFrame(self.conversation, content))
        }

        /// Requests the messages after an id, if the protocol does not send them by itself.
        func catchUp(after id: Int) throws {
            if let missed = self.adapter.catchUpFrame {
                try self.socket.send(missed(self.conversation, id))
            }
        }

        func sendTyping() throws {
            if let type = self.adapter.typingFrame { try self.socket.send(type(self.conversation)) }
        }
        func markRead(_ id: Int) throws {
            if let read = self.adapter.readFrame {
                try self.socket.send(read(self.conversation, id))
            }
        }

        /// Waits for an event; earlier events are skipped.
        func awaitEvent(_ expected: ProtocolAdapter.ReceivedEvent) throws {
            let deadline = Deadline()
            var skipped: [String] = []
            while true {
                if let index = self.unmatchedEvents.firstIndex(of: expected) {
                    self.unmatchedEvents.removeSubrange(...index)
                    return
                }
                do {
                    skipped.append(try self.next(deadline))
                } catch {
                    throw TestFailure(
                        "\(self.user) waits for \(expected): \(error) after \(skipped.suffix(5))")
                }
            }
        }

        func awaitMessage(_ id: Int, _ author: String, _ content: String) throws {
            try self.awaitEvent(.message(id: id, author: author, content: content))
        }

        /// Waits until this user is subscribed and receives further messages.
        func synchronize() throws {
            let unknownAction = "are you inside?"
            try self.socket.send(self.adapter.unknownRequest(unknownAction))
            let deadline = Deadline()
            while try !self.next(deadline).contains(unknownAction) {}
            self.unmatchedEvents = []
        }

        /// Waits until this user's send is refused, and returns the error text. Throws if a message
        /// after `id` arrives.
        func refusal(after id: Int) throws -> String {
            let deadline = Deadline()
            while true {
                while let event = self.unmatchedEvents.first {
                    self.unmatchedEvents.removeFirst()
                    if case .refused(let errorText) = event { return errorText }
                    if case .message(let number, _, _) = event, number > id {
                        throw TestFailure("\(self.user) received \(event)")
                    }
                }
                _ = try self.next(deadline)
            }
        }

        func leave() throws { try self.socket.close(1000) }
    }

    /// Ends the conversation as an admin, through REST, because no protocol has a request for that.
    /// It has no creator, because a token made it.
    private func end(_ conversation: String, by user: String, at port: UInt16, secret: String)
        throws
    {
        let token = try ConfabServer.token(
            for: user, conversations: [conversation], isAdmin: true, secret: secret)
        let reply = try HTTPReply.post(
            "/api/conversations/\(conversation)/end", "{}", port: port,
            fields: ["Authorization": "Bearer \(token)"])
        guard reply.status == 200 else {
            throw TestFailure("\(conversation) cannot be ended: \(reply)")
        }
    }

    /// Answers message 1 and reacts to the answer as `user`, through REST. Each protocol shows what
    /// its messages can hold.
    private func replyAndReact(
        in room: String, as user: String, shownTo other: DialectParticipant, at port: UInt16,
        secret: String
    ) throws {
        let token = try ConfabServer.token(for: user, conversations: [room], secret: secret)
        let fields = ["Authorization": "Bearer \(token)"]
        let messages = "/api/conversations/\(room)/messages"
        let reply = try HTTPReply.post(
            messages, #"{"content":"answer","reply_to":"1"}"#, port: port, fields: fields)
        guard reply.status == 201 else { throw TestFailure("the reply failed: \(reply)") }
        try other.awaitMessage(3, user, "answer")
        if other.adapter.deliveredTopics.contains(.replies) {
            try other.awaitEvent(.reply(id: 3, to: 1))
        }
        let reaction = try HTTPReply.request(
            "PUT", "\(messages)/3/reactions/%F0%9F%91%8D", port: port, fields: fields)
        guard reaction.status == 200 else { throw TestFailure("the reaction failed: \(reaction)") }
        if !other.adapter.deliveredTopics.contains(.reactions) {
            guard other.adapter.catchUpFrame != nil else { return }
            try other.catchUp(after: 2)
        }
        try other.awaitEvent(.reactions(id: 3, emoji: "👍", count: 1))
    }

    /// Join, send, reply, react, type, read, leave, miss a message, return and receive it, end.
    private func conversation(
        _ left: ProtocolAdapter, _ right: ProtocolAdapter, at ports: (UInt16, UInt16),
        secret: String
    ) throws {
        let room = "\(left.name)-\(right.name)"
        var ann = try DialectParticipant(left, as: "ann", in: room, at: ports.0, secret: secret)
        try ann.synchronize()
        let bob = try DialectParticipant(right, as: "bob", in: room, at: ports.1, secret: secret)
        try bob.synchronize()
        try ann.sendMessage("one")
        try bob.awaitMessage(1, "ann", "one")
        try bob.sendMessage("two")
        try ann.awaitMessage(2, "bob", "two")
        try self.replyAndReact(in: room, as: "ann", shownTo: bob, at: ports.0, secret: secret)

        try ann.sendTyping()
        if left.typingFrame != nil, right.deliveredTopics.contains(.typing) {
            try bob.awaitEvent(.typing("ann"))
        }
        try ann.markRead(3)
        if left.readFrame != nil, right.deliveredTopics.contains(.reading) {
            try bob.awaitEvent(.read("ann", through: 3))
        }

        // Ann leaves and returns, and receives the missed message once.
        try ann.leave()
        if right.deliveredTopics.contains(.presence) { try bob.awaitEvent(.left("ann")) }
        try bob.sendMessage("three")
        let carol = try DialectParticipant(
            .conversations, as: "carol", in: room, at: ports.0, secret: secret, after: 3)
        try carol.awaitMessage(4, "bob", "three")
        ann = try DialectParticipant(
            left, as: "ann", in: room, at: ports.0, secret: secret, after: 3)
        try ann.catchUp(after: 3)
        try ann.awaitMessage(4, "bob", "three")
        try bob.sendMessage("four")
        try ann.awaitMessage(5, "bob", "four")

        try self.end(room, by: "ann", at: ports.1, secret: secret)
        if right.deliveredTopics.contains(.end) { try bob.awaitEvent(.ended) }
        for participant in [ann, bob] {
            try participant.sendMessage("five")
            try participant.awaitEvent(.refused("conversation ended"))
        }
    }

    @Test(
        "share a conversation at one node",
        arguments: TestRun.isLong ? ProtocolAdapter.all : [.conversations], ProtocolAdapter.all)
    func oneNode(_ left: ProtocolAdapter, _ right: ProtocolAdapter) throws {
        let server = try ConfabServer()
        try self.conversation(
            left, right, at: (server.port, server.port), secret: ConfabServer.secret)
    }

    @Test("share a conversation at two nodes")
    func twoNodes() throws {
        let cluster = try LocalCluster(["2"])
        let secret = try cluster.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
        for left in ProtocolAdapter.all {
            for right in ProtocolAdapter.all {
                try self.conversation(
                    left, right, at: (cluster.nodes[0].port, cluster.nodes[1].port), secret: secret)
            }
        }
    }
}

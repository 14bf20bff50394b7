import ConfabClient
import Synchronization
import TestKit
import TestTraits
import Testing

@Suite("The Swift client's conversations over REST", .programs, .serialized, .ownThread)
struct SwiftConversationsTests {
    private func client(_ user: String, at server: ConfabServer) throws -> Confab {
        try Confab(
            "http://127.0.0.1:\(server.port)",
            token: ConfabServer.token(for: user, conversations: ["other"]))
    }

    /// The text of the `ConfabError` that a call throws.
    private func refusal(_ call: () async throws -> Void) async -> String {
        let error = await #expect(throws: ConfabError.self) { try await call() }
        #expect(error?.retry != true)
        return error?.description ?? "no error"
    }

    @Test("are closed to strangers as if they did not exist")
    func closed() async throws {
        let server = try ConfabServer()
        let ann = try self.client("ann", at: server)
        let plan = try await ann.create(
            title: "Plan", description: "For us", access: .closed,
            members: [.init("ben", name: "Ben")])
        #expect(plan.title == "Plan" && plan.description == "For us" && plan.createdBy == "ann")
        #expect(plan.access == .closed && !plan.isListed && plan.isActive)
        #expect(plan.link?.contains(plan.id) == true && plan.participantCount == 2)
        let eve = try self.client("eve", at: server)
        let unknown = "room_id: no such conversation"
        for id in [plan.id, "nowhere1"] {
            #expect(await self.refusal { _ = try await eve.members(id) } == unknown)
            #expect(await self.refusal { try await eve.join(id) } == unknown)
            #expect(await self.refusal { _ = try await eve.receipts(id) } == unknown)
        }
        #expect(try await eve.list().conversations.isEmpty)
        let members = try await ann.members(plan.id)
        #expect(members.members.map(\.user) == ["ann", "ben"] && members.creator == "ann")
        #expect(members.members.map(\.name) == ["ann", "Ben"] && members.nextCursor == nil)
        let first = try await ann.members(plan.id, limit: 1)
        let second = try await ann.members(plan.id, cursor: first.nextCursor)
        #expect(first.members.map(\.user) == ["ann"] && second.members.map(\.user) == ["ben"])
        for client in [ann, eve] { await client.close() }
    }

    @Test("list unread messages until they are marked as read")
    func unread() async throws {
        let server = try ConfabServer()
        let (ann, ben) = (try self.client("ann", at: server), try self.client("ben", at: server))
        let plan = try await ann.create(title: "Plan", access: .closed, members: ["ben"])
        let room = ann.conversation(plan.id)
        try await room.send("one")
        let last = try await room.send("two")
        let listed = try #require(try await ben.list(mine: true).conversations.first)
        #expect(listed.id == plan.id && listed.title == "Plan" && listed.access == .closed)
        #expect(listed.unreadCount == 2 && listed.lastReadID == 0 && listed.messageCount == 2)
        #expect(listed.lastMessage?.text == "two" && listed.lastMessage?.author == "ann")
        try await ben.markRead(plan.id, upTo: last.id)
        let read = try #require(try await ben.list(mine: true).conversations.first)
        #expect(read.unreadCount == 0 && read.lastReadID == last.id)
        let receipts = try await ann.receipts(plan.id)
        #expect(receipts.members.contains { $0.user == "ben" && $0.read == last.id })
        #expect(try await ben.receipts(plan.id).read == last.id)
        let history = try await ben.history(plan.id)
        #expect(history.map(\.text) == ["one", "two"] && !history.contains { $0.isOwn })
        #expect(try await ann.history(plan.id, before: last.id).map(\.text) == ["one"])
        #expect(try await ann.history(plan.id, after: 1).first?.isOwn == true)
        let found = try await ben.search("two")
        #expect(found.results.map(\.conversation) == [plan.id] && !found.isIncomplete)
        #expect(found.results.first?.title == "Plan" && found.results.first?.message.id == last.id)
        for client in [ann, ben] { await client.close() }
    }

    @Test("are changed by the creator only, and errors name the field")
    func changes() async throws {
        let server = try ConfabServer()
        let (ann, ben) = (try self.client("ann", at: server), try self.client("ben", at: server))
        let plan = try await ann.create(title: "Plan", access: .closed, members: ["ben"])
        let changed = try await ann.update(plan.id, title: "Tea", access: .open, listed: true)
        #expect(changed.title == "Tea" && changed.access == .open && changed.isListed)
        let eve = try self.client("eve", at: server)
        #expect(try await eve.list().conversations.map(\.title) == ["Tea"])
        #expect(try await eve.list(mine: true).conversations.isEmpty)
        #expect(try await eve.join(plan.id).participantCount == 3)
        #expect(try await eve.list(mine: true).conversations.map(\.id) == [plan.id])
        let refused = await self.refusal { _ = try await ben.update(plan.id, title: "Mine") }
        #expect(refused.contains("creator"), "\(refused)")
        #expect(try await ben.list(mine: true).conversations.map(\.title) == ["Tea"])
        let long = String(repeating: "x", count: 5000)
        #expect(await self.refusal { _ = try await ann.create(title: long) }.hasPrefix("title: "))
        #expect(await self.refusal { _ = try await ann.create(title: "") }.hasPrefix("title: "))
        for client in [ann, ben, eve] { await client.close() }
    }

    @Test("lose members that leave or are removed, and get added ones")
    func membership() async throws {
        let server = try ConfabServer()
        let (ann, ben) = (try self.client("ann", at: server), try self.client("ben", at: server))
        let plan = try await ann.create(title: "Plan", access: .closed)
        func isMember() async throws -> Bool {
            try await ben.list(mine: true).conversations.contains { $0.id == plan.id }
        }
        #expect(try await !isMember())
        try await ann.addMember(.init("ben", name: "Ben"), to: plan.id)
        #expect(try await isMember())
        #expect(try await ben.members(plan.id).members.map(\.name) == ["ann", "Ben"])
        let refused = await self.refusal { try await ben.removeMember("ann", from: plan.id) }
        #expect(refused.contains("creator"), "\(refused)")
        try await ben.leave(plan.id)
        #expect(try await !isMember())
        try await ann.addMember("ben", to: plan.id)
        #expect(try await isMember())
        try await ann.removeMember("ben", from: plan.id)
        #expect(try await !isMember())
        #expect(try await ann.members(plan.id).members.map(\.user) == ["ann"])
        for client in [ann, ben] { await client.close() }
    }

    @Test("renew a rejected token once, and need one")
    func tokens() async throws {
        let server = try ConfabServer(["--anonymous", "on"])
        let url = "http://127.0.0.1:\(server.port)"
        let calls = Mutex(0)
        let confab = try await Confab(url) {
            let number = calls.withLock { count in
                count += 1
                return count
            }
            return try ConfabServer.token(for: "ann", validFor: number == 2 ? 3600 : -3600)
        }
        let plan = try await confab.create(title: "Plan")
        #expect(try await confab.list(mine: true).conversations.map(\.id) == [plan.id])
        #expect(calls.withLock { $0 } == 2)
        await confab.close()
        await #expect(throws: ConfabError.closed) { try await confab.list() }
        let expired = try Confab(url, token: ConfabServer.token(for: "ann", validFor: -3600))
        #expect(await self.refusal { _ = try await expired.list() }.hasPrefix("token: "))
        await expired.close()
        let guest = try Confab(url, user: "Gil")
        #expect(try await guest.list().conversations.isEmpty)
        #expect(await self.refusal { _ = try await guest.create(title: "x") }.hasPrefix("token: "))
        await guest.close()
    }

    @Test("fail with an error that a retry may resolve while there is no server")
    func unavailable() async throws {
        let server = try ConfabServer()
        let ann = try self.client("ann", at: server)
        #expect(try await ann.list().conversations.isEmpty)
        server.process.kill()
        let error = await #expect(throws: ConfabError.self) { try await ann.list() }
        #expect(error?.retry == true)
        #expect(
            error?.description
                .hasPrefix("cannot reach http://127.0.0.1:\(server.port): ") == true, "\(error)")
        await ann.close()
    }

    @Test("use TLS with the client's certificate authorities")
    func authorities() async throws {
        let folder = try TemporaryFolder()
        let made = try run(
            Checkout.program("openssl"),
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "2", "-subj", "/CN=confab", "-addext",
                "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem",
            ], folder: folder.path)
        #expect(made.exitStatus == .exited(0))
        let server = try ConfabServer(
            ["--tls-cert", "cert.pem", "--tls-key", "key.pem"], in: folder)
        let url = "https://127.0.0.1:\(server.port)"
        let token = try ConfabServer.token(for: "ann")
        let confab = try Confab(url, token: token, authorities: folder.file("cert.pem"))
        let plan = try await confab.create(title: "Plan")
        #expect(try await confab.list(mine: true).conversations.map(\.id) == [plan.id])
        await confab.close()
        let distrustful = try Confab(url, token: token)
        await #expect(throws: ConfabError.self) { try await distrustful.list() }
        await distrustful.close()
    }
}

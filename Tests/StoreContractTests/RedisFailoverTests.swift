import Bytes
import ChatModel
import EventLoop
import Foundation
import RedisClient
import RedisStore
import StoreTestSupport
import Synchronization
import TestKit
import TestTraits
import Testing

/// One owner keeps writing while the master of its shard is replaced. All writes that were answered
/// as stored must exist afterwards.
@Suite("A Redis store whose master is replaced", .programs, .ownThread)
struct RedisFailoverTests {
    private static let key = ConversationKey(tenant: "acme", id: "rex")
    /// After this time, a master without its replica counts as having none. On a slow machine,
    /// sentinels may take longer than five seconds.
    private static let confirmationTimeout: Duration = .seconds(60)

    @Test("by sentinels keeps all stored writes, and continues by itself")
    func sentinel() async throws {
        let trio = try RedisSentinelServers()
        let store = try RedisUnderTest(
            at: trio.url, history: 10_000, confirmationTimeout: Self.confirmationTimeout)
        try await self.write(to: store) {
            trio.beginFailover()
        } until: {
            try trio.master() === trio.servers[1]
        }
    }

    @Test("by sentinels after its crash keeps all stored writes, and continues by itself")
    func masterCrash() async throws {
        let trio = try RedisSentinelServers(failureTimeout: .seconds(1))
        let store = try RedisUnderTest(
            at: trio.url, history: 10_000, confirmationTimeout: Self.confirmationTimeout)
        try await self.write(to: store) {
            try trio.servers[0].crash()
        } until: {
            try trio.master() === trio.servers[1]
        }
    }

    @Test("by agreement in a cluster keeps all stored writes, and continues by itself")
    func cluster() async throws {
        let cluster = try RedisClusterServers(failureTimeout: .seconds(5))
        let store = try RedisUnderTest(
            at: cluster.url(), history: 10_000, confirmationTimeout: Self.confirmationTimeout)
        let slot = Int(RedisSlot(key: ByteString("{s\(Self.key.shard)}")).number)
        let old = try cluster.master(of: slot)
        let new = try cluster.replica(of: old)
        try await self.write(to: store) {
            cluster.beginFailover(to: new)
        } until: {
            try cluster.master(of: slot).id == new.id
        }
    }

    /// A script that named only one of a conversation's keys would run where that key is, and would
    /// create the others there.
    @Test(
        "by moving its slot in a cluster keeps all stored writes, and continues by itself"
    )
    func slotMigration() async throws {
        // This test restarts no server and changes no other state of the servers.
        nonisolated(unsafe) let cluster = try RedisClusterServers()
        let store = try RedisUnderTest(
            at: cluster.url(), history: 10_000, confirmationTimeout: Self.confirmationTimeout)
        let slot = Int(RedisSlot(key: ByteString("{s\(Self.key.shard)}")).number)
        let old = try cluster.master(of: slot)
        let new = try #require(cluster.nodes().first { $0.isMaster && $0.id != old.id })
        let failure = Mutex<(any Error)?>(nil)
        try await self.write(to: store) {
            Thread.detachNewThread {
                do {
                    try cluster.move(slot: "\(slot)", from: old, to: new) {
                        Thread.sleep(forTimeInterval: 0.2)
                    }
                } catch {
                    failure.withLock { $0 = error }
                }
            }
        } until: {
            if let error = failure.withLock({ $0 }) { throw error }
            return try cluster.master(of: slot).id == new.id
        }
        #expect(failure.withLock { $0 } == nil)
    }

    /// Writes until the master has been replaced and writes succeed again, calls `fail` after a
    /// while, and then compares.
    private func write(
        to store: RedisUnderTest, fail: () throws -> Void, until isReplaced: () throws -> Bool
    ) async throws {
        var owner = await store.createConversation(Self.key)
        #expect(owner.epoch == 1)
        var stored: Set<String> = []
        var hasBeenReplaced = false
        var afterwards = 0
        let deadline = Deadline(within: .seconds(300))
        var number = 0
        while afterwards < 200 {
            guard !deadline.isExpired else {
                throw TestFailure(
                    "\(stored.count) of \(number) writes stored, \(afterwards) after the failover"
                )
            }
            number += 1
            if number == 200 {
                try fail()
            } else if number > 200, number.isMultiple(of: 20), !hasBeenReplaced {
                hasBeenReplaced = (try? isReplaced()) ?? false
            }
            var writes = [owner.post("message \(number)")]
            // In a cluster, these index entries lie on all masters.
            if number.isMultiple(of: 5) { writes.append(owner.join("user \(number)")) }
            if await store.write(writes, by: owner) == .stored {
                stored.insert("message \(number)")
                if hasBeenReplaced { afterwards += 1 }
                continue
            }
            // Like a new owner, it claims the shard and reads how far the conversation is stored.
            afterwards = 0
            let epoch = await store.claim(Self.key.shard, by: owner.id)
            guard epoch > 0, let loaded = await store.load(Self.key) else {
                try await Task.sleep(for: .milliseconds(50))
                continue
            }
            owner.epoch = epoch
            (owner.head, owner.revision) = (loaded.head, loaded.revision)
        }
        let page = try #require(await store.page(Self.key, .newest, limit: 10_000))
        let there = page.messages.map(\.body.content)
        #expect(stored.subtracting(there) == [], "lost")
        #expect(Set(there).count == there.count, "stored twice")
        #expect(page.messages.map(\.sequence) == Array(1...page.messages.count))
        let members = try #require(await store.load(Self.key)).members
        #expect(members.count >= 40)
        for member in members {
            let request = StoreRequest.memberships(
                of: member.user, tenant: Self.key.tenant, after: nil, limit: 9, unreadLimit: 0)
            guard case .memberships(let lists) = await store.request(request) else {
                return _ = Issue.record("\(member.user) has no list")
            }
            #expect(
                lists.memberships.map(\.key) == [Self.key],
                "a membership without an index entry: \(member.user)")
        }
    }
}

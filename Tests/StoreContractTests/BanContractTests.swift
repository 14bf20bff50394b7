import Bytes
import ChatModel
import StoreTestSupport
import TestKit
import TestTraits
import Testing

@Suite("Every store, when it keeps bans,", .ownThread)
struct BanContractTests {
    private static func ban(
        _ user: ByteString, from conversation: ByteString? = nil, tenant: ByteString = "acme",
        until: Int64? = nil, reason: String = "", since: Int64 = 1_795_224_713_575
    ) -> Ban {
        Ban(
            Ban.Subject(tenant: tenant, user: user, conversation: conversation),
            until: until.map { Timestamp(milliseconds: $0) }, reason: reason, by: "night shift",
            since: Timestamp(milliseconds: since))
    }

    /// The store of another node, if there can be one.
    private static func otherNode(than store: any ChatStore) throws -> any ChatStore {
        try (store as? RedisUnderTest)?.otherNode() ?? store
    }

    private static func texts(_ store: any ChatStore) async -> [String]? {
        await store.bans()?.map(\.text).sorted()
    }

    @Test("returns all of them at every node", arguments: StoreUnderTest.available)
    func all(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        #expect(await store.bans() == [])
        let bans = [
            Self.ban("ann"),
            Self.ban("ann", from: "rex"),
            Self.ban("ann", tenant: "other"),
            Self.ban(
                "guest:zoë :%", from: "a:b/%7B", until: 1_795_224_713_576, reason: "a b\nc 1 "),
            Self.ban("0", from: "1", tenant: "2", until: .max >> 12, reason: "12 3"),
        ]
        for ban in bans { #expect(await store.request(.ban(ban)).text == "done") }
        let other = try Self.otherNode(than: store)
        #expect(await Self.texts(other) == bans.map(\.text).sorted())
    }

    @Test(
        "replaces a ban for the same subject, and removes it", arguments: StoreUnderTest.available)
    func replacing(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let other = try Self.otherNode(than: store)
        _ = await store.request(.ban(Self.ban("ann", reason: "first")))
        let second = Self.ban("ann", until: 1_795_224_800_000, reason: "second")
        #expect(await other.request(.ban(second)).text == "done")
        #expect(await store.bans() == [second])
        let inside = Self.ban("ann", from: "rex")
        _ = await store.request(.ban(inside))
        #expect(await other.request(.unban(second.subject)).text == "unbanned true")
        #expect(await other.request(.unban(second.subject)).text == "unbanned false")
        #expect(await store.bans() == [inside])
    }

    @Test("keeps both of two that nodes make at once", arguments: StoreUnderTest.available)
    func concurrentBans(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let other = try Self.otherNode(than: store)
        let bans = (0..<40).map { Self.ban(ByteString("user \($0)")) }
        await withTaskGroup(of: Void.self) { group in
            for (index, ban) in bans.enumerated() {
                group.addTask { _ = await (index % 2 == 0 ? store : other).request(.ban(ban)) }
            }
        }
        #expect(await Self.texts(store) == bans.map(\.text).sorted())
        #expect(await Self.texts(other) == bans.map(\.text).sorted())
    }

    @Test(
        "has a limit, at which it first removes those that have ended",
        arguments: TestRun.isLong ? StoreUnderTest.available : StoreUnderTest.implementations)
    func limit(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let limit = Ban.countLimit
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<limit {
                let ban = Self.ban(
                    ByteString("user \(number)"), until: number < 3 ? 1000 : nil, since: 500)
                group.addTask { _ = await store.request(.ban(ban)) }
                if number % 500 == 499 { await group.waitForAll() }
            }
        }
        #expect(await store.bans()?.count == limit)
        // The place of the subject itself.
        #expect(await store.request(.ban(Self.ban("user 7", since: 900))).text == "done")
        guard case .failed(let failure) = await store.request(.ban(Self.ban("late", since: 999)))
        else { return _ = Issue.record("a full store accepted a ban") }
        #expect(failure.isRequestSpecific)
        #expect(failure.effect == .none)
        #expect(failure.description.hasPrefix("there are \(limit) bans"))
        #expect(await store.request(.ban(Self.ban("late", since: 1000))).text == "done")
        #expect(await store.bans()?.count == limit - 2)
    }
}

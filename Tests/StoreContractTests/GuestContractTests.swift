import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

@Suite("Every store", .ownThread)
struct GuestContractTests {
    private static func guest(_ key: ByteString, _ proof: UserID.GuestProof) -> Person {
        Person(id: UserID(guest: "zoë", key: key, provenBy: proof), name: "Zoë")
    }

    @Test("keeps guests of one name apart", arguments: StoreUnderTest.available)
    func guests(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let guests = [
            Self.guest("aaaa-aaa", .connection), Self.guest("bbbb_bbb", .connection),
            Self.guest("aaaa-aaa", .token), Person(id: UserID(anonymous: "zoë"), name: "Zoë"),
        ]
        let keys = (0..<guests.count).map {
            ConversationKey(tenant: "acme", id: ByteString("room-\($0)"))
        }
        var numbers: [String] = []
        for (guest, key) in zip(guests, keys) {
            var owner = await store.createConversation(key)
            let member = Member(
                user: guest.id, name: guest.name, role: .creator, joinedAt: TestOwner.time(2))
            _ = await store.write([owner.write(.member(member))], by: owner)
            let message = Message(
                sequence: 1, revision: owner.revision + 1, sentAt: TestOwner.time(3),
                body: MessageBody(author: guest, clientMessageID: nil, content: "hi"))
            _ = await store.write([owner.write(.message(message))], by: owner)
            let cursors = Write.Change.cursors(guest.id, read: 1, delivered: 1)
            _ = await store.write([owner.write(cursors)], by: owner)
            numbers.append(await store.request(.numbers(of: [guest.id], tenant: "acme")).text)
        }
        #expect(Set(numbers).count == guests.count)
        for (guest, key) in zip(guests, keys) {
            #expect(await store.load(key)?.members.map(\.user) == [guest.id])
            #expect(await store.page(key, .newest)?.messages.map(\.body.author) == [guest])
            let answer = await store.request(
                .memberships(of: guest.id, tenant: "acme", after: nil, limit: 10, unreadLimit: 10))
            guard case .memberships(let page) = answer else {
                Issue.record("\(answer.text)")
                continue
            }
            #expect(page.memberships.map(\.key) == [key])
            #expect(page.memberships.first?.member.readCursor == 1)
        }
    }
}

import Bytes
import ChatModel
import Testing

@testable import EmbeddedStore

@Suite("The lists of a store in memory")
struct ListIndexTests {
    @Test("end with the user's last membership", arguments: [nil, Member.Role.removed])
    func lastMembership(removedAs role: Member.Role?) {
        var lists = ListIndex()
        let record = ConversationRecord(
            ConversationTemplate(origin: "rooms"), creator: nil,
            createdAt: Timestamp(milliseconds: 1))
        let keys = [
            ConversationKey(tenant: "acme", id: "rex"), ConversationKey(tenant: "acme", id: "kim"),
        ]
        var member = Member(
            user: UserID(guest: "gus", key: "aaaaaaaa", provenBy: .connection), name: "Gus",
            role: .member, joinedAt: Timestamp(milliseconds: 1))
        for key in keys { lists.recordChange(.member(member), of: record, at: key) }
        if let role { member.role = role }
        let end = role == nil ? Write.Change.remove(member.user) : .member(member)
        for (key, count) in zip(keys, [1, 0]) {
            lists.recordChange(end, of: record, at: key)
            #expect(lists.userCount == count)
        }
    }
}

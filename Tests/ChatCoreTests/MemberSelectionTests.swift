import Bytes
import ChatModel
import ChatSimulation
import SeededRandom
import Testing

@testable import ChatCore

@Suite("The members in the details of a conversation")
struct MemberSelectionTests {
    private static func member(_ number: Int, read: SequenceNumber = 0) -> Member {
        let name = ByteString("p\(number)")
        return Member(
            user: UserID(tokenSubject: name), name: name, role: .member,
            joinedAt: Timestamp(milliseconds: 1), readCursor: read, deliveredCursor: 0)
    }

    private static func guest(_ name: ByteString, _ key: ByteString) -> Member {
        Member(
            user: UserID(guest: name, key: key, provenBy: .connection), name: name, role: .member,
            joinedAt: Timestamp(milliseconds: 1))
    }

    private static func table(_ members: [Member], online: [Member] = []) -> MemberTable {
        var table = MemberTable()
        for member in members {
            let number = table.insert(member, isMember: true)
            if online.contains(where: { $0.user == member.user }) {
                table[number].loops.insert(east)
                table.updateActive(number)
            }
        }
        return table
    }

    private static func users(_ selected: MemberTable.Selected, _ table: MemberTable) -> [UserID] {
        selected.numbers.map { table[$0].member.user }
    }

    @Test("are at most a thousand of 30,000, the present ones first, with the number of all")
    func bounded() {
        let members = (0..<30_000).map { Self.member($0) }
        let online = [members[25_000], members[7]]
        var table = Self.table(members, online: online)
        let selected = table.select(.shown, showsAllGuests: true)
        #expect(selected.numbers == [7, 25_000] + (0..<999).filter { $0 != 7 })
        #expect(selected.participantCount == 30_000 && selected.readers.isEmpty)
        let few = table.select(.shown(limit: 1), showsAllGuests: true)
        #expect(few.numbers == [7])
    }

    @Test("are in the order of joining if all or none are present")
    func order() {
        let members = (0..<1100).map { Self.member($0) }
        for (online, expected) in [
            (0..<0, Array(0..<1000)), (0..<1100, Array(0..<1000)),
            (1050..<1100, Array(1050..<1100) + Array(0..<950)),
        ] {
            var table = Self.table(members, online: Array(members[online]))
            let selected = table.select(.shown, showsAllGuests: false)
            #expect(selected.numbers == expected.map { UInt32($0) })
        }
    }

    @Test("are none, with the asker's own membership, for a check of access")
    func access() {
        var fixture = ConversationFixture(of: [ann, bob])
        let me = Principal(person: bob, isAdmin: false)
        #expect(fixture.submit(.describe(by: me, members: .none)) == ["answer: described"])
        let details = fixture.lastDetails
        #expect(details?.members.isEmpty == true && details?.participantCount == 2)
        #expect(details?.viewer?.user == bob.id)
        // A member that is not among the selected ones has its presence too.
        _ = fixture.joinAndSubscribe(bob)
        _ = fixture.submit(.describe(by: me, members: .none))
        #expect(fixture.lastDetails?.online == [bob.id])
    }

    @Test("have the highest read cursors of all members for a request that needs them")
    func readers() {
        var table = Self.table([3, 9, 4, 9, 1].enumerated().map { Self.member($0, read: $1) })
        let selected = table.select(.shownWithReaders(limit: 0), showsAllGuests: true)
        #expect(selected.numbers.isEmpty && Set(selected.readers) == [1, 3])
        table.remove(1, rememberedAs: nil)
        let others = table.select(.shownWithReaders(limit: 0), showsAllGuests: true)
        #expect(others.readers == [3, 2])
    }

    @Test("have one absent guest of an id, and none next to a present one, if it is open")
    func guestsOfOneID() {
        let (first, second, third) = (
            Self.guest("ann", "aaaaaaaa"), Self.guest("ann", "bbbbbbbb"),
            Self.guest("ann", "cccccccc")
        )
        let others = [Self.guest("bob", "aaaaaaaa"), Self.member(1)]
        func shown(online: [Member], isOpen: Bool = true) -> [UserID] {
            var table = Self.table([first, second, third] + others, online: online)
            let selected = table.select(.shown, showsAllGuests: !isOpen)
            #expect(selected.participantCount == selected.numbers.count)
            return Self.users(selected, table)
        }
        let rest = others.map(\.user)
        #expect(shown(online: []) == [third.user] + rest)
        #expect(shown(online: [first]) == [first.user] + rest)
        #expect(shown(online: [first, third]) == [first.user, third.user] + rest)
        // Only members may enter a closed conversation, so it shows them all.
        #expect(
            shown(online: [first], isOpen: false)
                == [first.user, second.user, third.user] + rest)
    }

    @Test("are pages in the order of ids, also after joins and departures", arguments: [5, 60])
    func pages(people: Int) {
        var random = SeededGenerator(seed: 7)
        var table = MemberTable()
        var members: Set<UserID> = []
        for _ in 0..<200 {
            let member = Self.member(random.number(1...people))
            if random.happens(perMille: 600) {
                _ = table.insert(member, isMember: true)
                members.insert(member.user)
            } else if let number = table.number(of: member.user) {
                table.remove(number, rememberedAs: nil)
                members.remove(member.user)
            }
            let after = random.happens(perMille: 800) ? Self.member(random.number(0...70)) : nil
            let selected = table.select(.page(after: after?.user, limit: 4), showsAllGuests: true)
            let expected = members.sorted().filter { user in after.map { $0.user < user } ?? true }
            #expect(Self.users(selected, table) == Array(expected.prefix(4)))
        }
    }
}

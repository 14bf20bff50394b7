import Bytes
import ChatModel
import ChatSimulation
import SeededRandom
import Testing

@testable import ChatCore

@Suite("The table of members")
struct MemberTableTests {
    private static func member(
        _ number: Int, read: SequenceNumber = 0, delivered: SequenceNumber = 0
    ) -> Member {
        let name = ByteString("p\(number)")
        let time = Timestamp(milliseconds: 0)
        return Member(
            user: UserID(tokenSubject: name), name: name, role: .member, joinedAt: time,
            readCursor: read, deliveredCursor: delivered)
    }

    @Test(
        "behaves like a plain list", arguments: [4, 23, 24, 25, 60],
        [1, 2] as [UInt64])
    func oracle(people: Int, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = MemberTable()
        var expected: [(user: UserID, isMember: Bool, isRemoved: Bool)] = []
        for _ in 0..<500 {
            let member = Self.member(random.number(1...people))
            let known = expected.firstIndex { $0.user == member.user }
            if random.happens(perMille: 600) {
                let isMember = random.happens(perMille: 800)
                let number = table.insert(member, isMember: isMember)
                #expect(Int(number) == known ?? expected.count, "the number never changes")
                if let known {
                    (expected[known].isMember, expected[known].isRemoved) = (isMember, false)
                } else {
                    expected.append((member.user, isMember, false))
                }
            } else if let known {
                let isRemoved = random.happens(perMille: 500)
                table.remove(UInt32(known), rememberedAs: isRemoved ? .removed : nil)
                if expected[known].isMember {
                    (expected[known].isMember, expected[known].isRemoved) = (false, isRemoved)
                }
            }
            #expect(table.count == expected.count)
            #expect(table.members.map(\.user) == expected.filter(\.isMember).map(\.user))
            #expect(table.memberCount == expected.filter(\.isMember).count)
            #expect(table.removedCount == expected.filter(\.isRemoved).count)
            let user = Self.member(random.number(1...people)).user
            let index = expected.firstIndex { $0.user == user }
            #expect(table.number(of: user) == index.map(UInt32.init))
            #expect(
                table.memberNumber(of: user)
                    == index.flatMap { expected[$0].isMember ? UInt32($0) : nil })
        }
    }

    @Test(
        "lists exactly the members that are present or announced as online",
        arguments: [1, 2] as [UInt64])
    func active(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = MemberTable()
        for number in 0..<20 { _ = table.insert(Self.member(number), isMember: true) }
        for _ in 0..<1000 {
            let number = UInt32(random.number(0...19))
            switch random.number(0...3) {
            case 0: table[number].loops.insert(east)
            case 1: table[number].loops.remove(east)
            case 2: table[number].isAnnouncedOnline = true
            default: table[number].isAnnouncedOnline = false
            }
            table.updateActive(number)
            let expected = (0..<UInt32(20)).filter {
                table[$0].isPresent || table[$0].isAnnouncedOnline
            }
            #expect(table.active.sorted() == expected)
        }
    }

    @Test(
        "takes the members from the store, and keeps numbers, presence and higher cursors",
        arguments: [2, 20])
    func reload(count: Int) {
        var table = MemberTable()
        for number in 0..<count {
            _ = table.insert(Self.member(number, read: 3, delivered: 5), isMember: true)
        }
        table[1].loops.insert(east)
        table.reload([Self.member(100), Self.member(1, read: 2, delivered: 9)])
        #expect(table.members.map(\.user) == [Self.member(1).user, Self.member(100).user])
        #expect(table.memberCount == 2)
        #expect(table.number(of: Self.member(0).user) == 0)
        #expect(table.memberNumber(of: Self.member(0).user) == nil)
        #expect(table[1].isPresent)
        #expect(table[1].member.readCursor == 3)
        #expect(table[1].member.deliveredCursor == 9)
        #expect(table.number(of: Self.member(100).user) == UInt32(count))
    }
}

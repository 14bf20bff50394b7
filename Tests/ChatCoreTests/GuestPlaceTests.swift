import Bytes
import ChatModel
import SeededRandom
import Testing

@testable import ChatCore

@Suite("A full conversation")
struct FullConversationTests {
    private let proven = guest("alice", "aaaaaaaa")
    private let connected = guest("bob", "bbbbbbbb", .connection)
    private let other = guest("carol", "cccccccc")
    private let refusal = refused(.tooManyMembers(limit: 3))

    /// Its three members are a user and two guests, who are absent.
    private func full() -> ConversationFixture {
        var limits = Limits()
        limits.members = 3
        return ConversationFixture(of: [ann, self.proven, self.connected], open: true, limits)
    }

    @Test("gives the places of absent guests to others who join")
    func freed() {
        var fixture = self.full()
        let output = fixture.joinAndSubscribe(cid)
        #expect(output.contains("event: left anonymous alice"), "\(output)")
        #expect(output.contains("answer: joined"))
        #expect(fixture.memberIDs == [ann.id, self.connected.id, cid.id])
        #expect(fixture.add(dan, by: ann).contains("event: left anonymous bob"))
        #expect(fixture.memberIDs == [ann.id, cid.id, dan.id])
        #expect(fixture.join(self.other) == [self.refusal])
        // A guest that returns finds a place as soon as there is one.
        _ = fixture.leave(dan)
        #expect(fixture.join(self.proven).contains("answer: joined"))
        #expect(fixture.join(self.other).contains("answer: joined"))
        #expect(fixture.memberIDs == [ann.id, cid.id, self.other.id])
    }

    @Test("keeps its size with many guests, one after the other")
    func many() {
        var limits = Limits()
        limits.members = 30
        var fixture = ConversationFixture(of: [ann, cid], open: true, limits)
        _ = fixture.joinAndSubscribe(self.connected)
        for number in 100..<300 {
            let name = ByteString("g\(number)")
            #expect(fixture.join(guest(name, "aaaaaaaa")).contains("answer: joined"))
            #expect(fixture.store.members.count <= 30)
        }
        let known: Set = [ann.id, cid.id, self.connected.id]
        #expect(fixture.memberIDs.isSuperset(of: known))
    }

    @Test("takes no place of a guest that has created it")
    func creator() {
        var limits = Limits()
        limits.members = 3
        let guests = [self.proven, self.connected, self.other]
        var fixture = ConversationFixture(of: guests, open: true, limits)
        for person in [cid, dan] {
            #expect(fixture.joinAndSubscribe(person).contains("answer: joined"))
        }
        #expect(fixture.joinAndSubscribe(ann) == [self.refusal])
        #expect(fixture.memberIDs == [self.proven.id, cid.id, dan.id])
    }

    @Test("gives no rights back to a guest that created and left it, and whose place it takes")
    func formerCreator() {
        var limits = Limits()
        limits.members = 2
        var fixture = ConversationFixture(of: [self.proven, cid], open: true, limits)
        _ = fixture.leave(self.proven)
        #expect(fixture.join(self.proven).contains("answer: joined"))
        #expect(fixture.joinAndSubscribe(dan).contains("event: left anonymous alice"))
        #expect(fixture.memberIDs == [cid.id, dan.id])
        let refusal = refused(.notAllowed("the creator of a conversation or an admin"))
        for _ in 0..<2 {
            #expect(fixture.end(by: self.proven) == [refusal])
            fixture.changeOwner()
        }
    }

    @Test("takes no place of a user, nor of a guest that is present or was a moment ago")
    func present() {
        var fixture = self.full()
        for person in [self.proven, self.connected] { _ = fixture.joinAndSubscribe(person) }
        #expect(fixture.joinAndSubscribe(cid) == [self.refusal])
        _ = fixture.unsubscribe(self.connected)
        #expect(fixture.joinAndSubscribe(cid) == [self.refusal])
        _ = fixture.advance(by: .seconds(60))
        #expect(fixture.joinAndSubscribe(cid).contains("answer: joined"))
        #expect(fixture.memberIDs == [ann.id, self.proven.id, cid.id])
    }

    @Test("takes no place of a guest while it is closed")
    func closed() {
        var fixture = self.full()
        _ = fixture.update(by: ann) { $0.joinPolicy = .closed }
        #expect(fixture.add(cid, by: ann) == [self.refusal])
        #expect(fixture.joinAndSubscribe(self.connected).contains("answer: joined"))
        _ = fixture.update(by: ann) { $0.joinPolicy = .open }
        #expect(fixture.add(cid, by: ann).contains("answer: joined"))
        #expect(fixture.memberIDs == [ann.id, self.connected.id, cid.id])
    }

    @Test("is unavailable for others while a new owner does not know who is present")
    func newOwner() {
        var fixture = self.full()
        fixture.changeOwner(ownedSince: fixture.now.monotonic)
        #expect(fixture.join(cid, listed: true) == [refused(.unavailable)])
        _ = fixture.attach(east, present: [self.proven])
        _ = fixture.advance(by: .seconds(6))
        #expect(fixture.join(cid, listed: true).contains("answer: joined"))
        #expect(fixture.memberIDs == [ann.id, self.proven.id, cid.id])
    }
}

@Suite("The places of guests")
struct GuestPlaceTests {
    /// What the test knows about a guest that has joined.
    private struct Guest {
        let person: Person
        var joinedAt: Int64
        /// When it became absent; nil while it is present.
        var absentSince: Int64?
    }

    /// The owner changes now and then. A conversation of at most 40 members becomes closed and
    /// open again, and guests of three names come, go and return with their keys.
    @Test("are their own for an hour, and as long as the conversation is closed", arguments: 1...20)
    func random(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var fixture = ConversationFixture(of: [ann], open: true)
        var guests: [Guest] = []
        var isOpen = true
        for step in 0..<400 {
            _ = fixture.advance(by: .seconds(random.number(0...900) as Int))
            let now = fixture.now.monotonic
            var before = fixture.memberIDs
            switch random.number(0...9) as Int {
            case 0:
                isOpen.toggle()
                _ = fixture.update(by: ann) { $0.joinPolicy = isOpen ? .open : .closed }
            case 1:
                // Each loop reports its subscribers to the new owner at once.
                fixture.changeOwner()
                _ = fixture.attach(
                    east, present: guests.filter { $0.absentSince == nil }.map(\.person))
            case 2...4:
                guard let index = guests.indices.filter({ guests[$0].absentSince == nil }).first
                else { continue }
                _ = fixture.unsubscribe(guests[index].person)
                guests[index].absentSince = now
            case 5, 6:
                guard let index = random.pick(Array(guests.indices)) else { continue }
                let isMember = before.contains(guests[index].person.id)
                let output = fixture.joinAndSubscribe(guests[index].person)
                #expect(output.contains("answer: joined") == (isOpen || isMember), "\(output)")
                guard isOpen || isMember else { continue }
                if !isMember { guests[index].joinedAt = now }
                guests[index].absentSince = nil
            default:
                let name = ["alice", "bob", "carol"][random.number(0...2) as Int]
                let key = ByteString("k\(seed % 100 + 100)\(1000 + step)")
                let person = guest(ByteString(name), key, .connection)
                let output = fixture.joinAndSubscribe(person)
                #expect(output.contains("answer: joined") == isOpen, "\(output)")
                if isOpen { guests.append(Guest(person: person, joinedAt: now, absentSince: nil)) }
            }
            before.subtract(fixture.memberIDs)
            for lost in guests where before.contains(lost.person.id) {
                let hours = lost.absentSince.map { Double(now - $0) / 3_600_000 } ?? 0
                let isOld = lost.absentSince != nil && now - lost.joinedAt >= 86_400_000
                #expect(isOpen && (hours >= 1 || isOld), "\(step): \(lost)")
            }
        }
        #expect(!guests.isEmpty)
    }
}

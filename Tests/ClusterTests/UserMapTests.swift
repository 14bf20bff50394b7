import Bytes
import ChatModel
import SeededRandom
import Testing

@testable import Cluster

@Suite("A user map")
struct UserMapTests {
    private static func person(_ number: Int, name: Int = 0) -> Person {
        Person(
            id: UserID(tokenSubject: ByteString("user \(number)")), name: ByteString("name \(name)")
        )
    }

    @Test("behaves like a dictionary, small or large", arguments: [3, 30, 40, 200])
    func matchesDictionary(people: Int) {
        var chance = SeededGenerator(seed: UInt64(people))
        var table = UserMap<Person>()
        var model: [UserID: Person] = [:]
        for step in 0..<2000 {
            let person = Self.person(chance.next(below: people), name: step)
            // From time to time nearly all are removed.
            let goes = step % 500 > 350 ? chance.next(below: 10) > 1 : chance.next(below: 3) == 0
            table[person.id] = goes ? nil : person
            model[person.id] = goes ? nil : person
            #expect(table.count == model.count)
            for number in 0..<people {
                let id = Self.person(number).id
                #expect(table[id] == model[id])
            }
            #expect(Set(table.values) == Set(model.values))
        }
    }
}

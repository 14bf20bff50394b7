import Bytes
import ChatModel
import SeededRandom
import Testing

@testable import ChatEngine

@Suite("A user map")
struct UserMapTests {
    private static func person(_ number: Int, name: Int = 0) -> Person {
        Person(
            id: UserID(tokenSubject: ByteString("user \(number)")), name: ByteString("name \(name)")
        )
    }

    @Test("behaves like a dictionary, small or large", arguments: [3, 30, 40, 200])
    func matchesDictionary(people: Int) {
        var random = SeededGenerator(seed: UInt64(people))
        var map = UserMap<Person>()
        var model: [UserID: Person] = [:]
        for step in 0..<2000 {
            let person = Self.person(random.next(below: people), name: step)
            // From time to time nearly all are removed.
            let isRemoved =
                step % 500 > 350 ? random.next(below: 10) > 1 : random.next(below: 3) == 0
            map[person.id] = isRemoved ? nil : person
            model[person.id] = isRemoved ? nil : person
            #expect(map.count == model.count)
            for number in 0..<people {
                let id = Self.person(number).id
                #expect(map[id] == model[id])
            }
            #expect(Set(map.values) == Set(model.values))
        }
    }
}

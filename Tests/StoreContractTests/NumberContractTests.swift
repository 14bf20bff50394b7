import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

@Suite("Every store, when it assigns numbers,", .ownThread)
struct NumberContractTests {
    private static let first = StoreRequest.firstUserNumber

    @Test(
        "gives each user of a tenant a permanent number, and finds the user of a number",
        arguments: StoreUnderTest.available)
    func users(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let first = Self.first
        #expect(first == 1_099_511_627_776)
        #expect(await store.numbers(of: []) == [])
        #expect(await store.numbers(of: ["ann", "bob"]) == [first, first + 1])
        #expect(
            await store.numbers(of: ["cat", "bob", "cat", "zoë", "ann"]) == [
                first + 2, first + 1, first + 2, first + 3, first,
            ])
        #expect(await store.numbers(of: ["bob"], in: "other") == [first])
        // Not the token user of the same name.
        let guest = UserID(anonymous: "ann")
        #expect(
            await store.request(.numbers(of: [guest], tenant: "acme")).text
                == "numbers [\(first + 4)]")
        let users = try #require(
            await store.users(numbered: [first + 3, first + 5, first + 4, first, 0, -1, .max, .min])
        )
        #expect(
            users == [
                TestOwner.person("zoë").id, nil, guest, TestOwner.person("ann").id, nil, nil, nil,
                nil,
            ])
        #expect(
            await store.users(numbered: [first, first + 1], in: "other") == [
                TestOwner.person("bob").id, nil,
            ])
        #expect(await store.users(numbered: []) == [])
        #expect(await store.users(numbered: [first], in: "nobody's") == [nil])
    }

    @Test("counts separately for each tenant", arguments: StoreUnderTest.available)
    func counter(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        for number in 1...3 { #expect(await store.nextNumber() == number) }
        #expect(await store.nextNumber(in: "other") == 1)
        #expect(await store.numbers(of: ["ann"]) == [Self.first])
        #expect(await store.nextNumber() == 4)
    }

    @Test("accepts a thousand users at once, and no more", arguments: StoreUnderTest.available)
    func bounds(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let names = (0...1000).map { "user \($0)" }
        #expect(
            await store.numbers(of: Array(names.dropLast()))
                == Array(Self.first..<Self.first + 1000))
        #expect(
            await store.users(numbered: Array(Self.first..<Self.first + 1000))?.last
                == TestOwner.person("user 999").id)
        for request in [
            StoreRequest.numbers(of: names.map { TestOwner.person($0).id }, tenant: "acme"),
            .users(numbered: Array(0...1000), tenant: "acme"),
        ] {
            guard case .failed(let failure) = await store.request(request) else {
                return _ = Issue.record("it was accepted")
            }
            #expect(failure.description.hasPrefix("1001 "))
            #expect(failure.isRequestSpecific)
        }
        #expect(await store.numbers(of: ["user 1000"]) == [Self.first + 1000])
    }

    @Test(
        "never assigns a number twice, nor two numbers to a user, with concurrent clients",
        arguments: StoreUnderTest.available)
    func twoClients(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        // The store of another node, if there can be one.
        let other = try (store as? RedisUnderTest)?.otherNode() ?? store
        let names = (0..<60).map { "user \($0)" }
        let answers = try await withThrowingTaskGroup(of: ([String], [Int], Int).self) { group in
            for (index, client) in [store, other, store, other].enumerated() {
                for round in 0..<20 {
                    // Each request has another order and other users.
                    let start = (index * 17 + round * 7) % 60
                    let requested = (0..<5).map { names[(start + $0 * (index + 1)) % 60] }
                    group.addTask {
                        (
                            requested, try #require(await client.numbers(of: requested)),
                            try #require(await client.nextNumber())
                        )
                    }
                }
            }
            var answers: [([String], [Int], Int)] = []
            for try await answer in group { answers.append(answer) }
            return answers
        }
        var numbers: [String: Int] = [:]
        for (requested, assigned, _) in answers {
            for (name, number) in zip(requested, assigned) {
                #expect(numbers[name] ?? number == number)
                numbers[name] = number
            }
        }
        #expect(Set(numbers.values) == Set(Self.first..<Self.first + numbers.count))
        #expect(answers.map(\.2).sorted() == Array(1...80))
        for (name, number) in numbers {
            #expect(await other.users(numbered: [number]) == [TestOwner.person(name).id])
        }
    }
}

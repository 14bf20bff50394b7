import JSON
import Testing

@testable import ConfabClient

@Suite("A page that the server sends in parts")
struct PartialPageTests {
    private static func messages(_ ids: Int...) -> [ChatMessage] {
        ids.map { ChatMessage(id: $0, author: "ann", text: "\($0)") }
    }

    @Test("is continued before its oldest message until it has as many as requested")
    func backward() {
        var page = PartialPage(.newest(5))
        #expect(page.add(Self.messages(8, 9), of: ["next_before_id": "8"]) == .before(8, 3))
        #expect(page.add(Self.messages(6, 7), of: ["next_before_id": 6]) == .before(6, 1))
        #expect(page.add(Self.messages(5), of: ["next_before_id": "5"]) == nil)
        #expect(page.messages.map(\.id) == [5, 6, 7, 8, 9])
    }

    @Test("is continued after its newest message until the server has no more")
    func forward() {
        var page = PartialPage(.after(3, 100), thread: 1)
        #expect(page.add(Self.messages(4, 5), of: ["next_after_id": "5"]) == .after(5, 98))
        #expect(page.add(Self.messages(6), of: [:]) == nil)
        #expect(page.messages.map(\.id) == [4, 5, 6])
    }

    @Test("ends with an empty part")
    func empty() {
        var page = PartialPage(.before(3, 9))
        #expect(page.add([], of: ["next_before_id": "3"]) == nil)
        #expect(page.messages.isEmpty)
    }
}

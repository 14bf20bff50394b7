import Testing

@testable import NodeLink

@Suite("A node that cannot reach Redis")
struct EvictionCheckTests {
    private static let evicted = EvictionCheck.answer(isMember: false)

    @Test("asks the others in turn, once a second, when they may have evicted it")
    func questions() {
        var check = EvictionCheck()
        #expect(check.tick(at: 0, silence: nil, peerCount: 2) == nil)
        #expect(check.tick(at: 2999, silence: 2999, peerCount: 2) == nil)
        #expect(check.tick(at: 3000, silence: 3000, peerCount: 2) == 1)
        #expect(check.tick(at: 3999, silence: 3999, peerCount: 2) == nil)
        #expect(check.tick(at: 4000, silence: 4000, peerCount: 2) == 0)
        #expect(check.tick(at: 9000, silence: 9000, peerCount: 0) == nil)
    }

    @Test("is evicted if one of them says so, until Redis answers")
    func answers() {
        var check = EvictionCheck()
        _ = check.tick(at: 3000, silence: 3000, peerCount: 1)
        check.answered(EvictionCheck.answer(isMember: true), silence: 3000)
        #expect(!check.isEvicted)
        check.answered(Self.evicted, silence: 3000)
        #expect(check.isEvicted)
        #expect(check.tick(at: 9000, silence: 9000, peerCount: 1) == nil && check.isEvicted)
        #expect(check.tick(at: 9100, silence: nil, peerCount: 1) == nil && !check.isEvicted)
        // An answer that comes after Redis' reply is outdated.
        check.answered(Self.evicted, silence: nil)
        #expect(!check.isEvicted)
    }
}

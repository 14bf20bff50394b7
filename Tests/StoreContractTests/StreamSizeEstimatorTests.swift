import Testing

@testable import RedisClient
@testable import RedisStore

@Suite("A survey of streams")
struct StreamSizeEstimatorTests {
    /// Tells the survey an answer; whether it was one.
    private static func feed(_ survey: inout StreamSizeEstimator, _ text: String) throws -> Bool {
        let reader = RedisReplyReader(byteLimit: 1 << 20)
        try Array(text.utf8).withUnsafeBytes { try reader.feed($0) }
        return survey.record(try #require(try reader.next()))
    }

    private static func answer(_ cursor: Int, keys: Int, seen: Int, bytes: Int) -> String {
        "*4\r\n$\(String(cursor).count)\r\n\(cursor)\r\n:\(keys)\r\n:\(seen)\r\n:\(bytes)\r\n"
    }

    @Test("adds up what it is told, until all keys of all servers have been looked at")
    func allServers() throws {
        var survey = StreamSizeEstimator(of: "chat", at: [RedisSlot(1), RedisSlot(9000)])
        #expect(survey.slot == RedisSlot(1))
        var isTaken = try Self.feed(&survey, Self.answer(17, keys: 300, seen: 200, bytes: 5000))
        #expect(isTaken && survey.slot == RedisSlot(1))
        isTaken = try Self.feed(&survey, Self.answer(0, keys: 300, seen: 100, bytes: 1000))
        #expect(isTaken && survey.slot == RedisSlot(9000) && survey.bytes == 6000)
        isTaken = try Self.feed(&survey, Self.answer(0, keys: 5, seen: 5, bytes: 70))
        #expect(isTaken && survey.slot == nil && survey.bytes == 6070)
    }

    @Test("takes some of many keys for the rest, and looks no more than a hundred times")
    func estimate() throws {
        var survey = StreamSizeEstimator(of: "chat", at: [.any])
        for look in 1...100 {
            #expect(survey.slot != nil)
            let isTaken = try Self.feed(
                &survey, Self.answer(look, keys: 1_000_000, seen: 200, bytes: 1000))
            #expect(isTaken && survey.bytes == 5_000_000)
        }
        #expect(survey.slot == nil)
    }

    @Test("does not take for an answer what is none")
    func invalidReply() throws {
        var survey = StreamSizeEstimator(of: "chat", at: [.any])
        let isTaken = try Self.feed(&survey, "*2\r\n$1\r\n0\r\n:1\r\n")
        #expect(!isTaken && survey.slot != nil)
    }
}

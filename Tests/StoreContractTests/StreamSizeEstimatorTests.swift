import TestTraits
import Testing

@testable import RedisClient
@testable import RedisStore

@Suite("An estimate of the streams' size", .ownThread)
struct StreamSizeEstimatorTests {
    /// Passes a reply to the estimator; returns whether it was valid.
    private static func feed(_ estimator: inout StreamSizeEstimator, _ text: String) throws -> Bool
    {
        let reader = RedisReplyReader(byteLimit: 1 << 20)
        try Array(text.utf8).withUnsafeBytes { try reader.feed($0) }
        return estimator.record(try #require(try reader.next()))
    }

    private static func answer(_ cursor: Int, keys: Int, seen: Int, bytes: Int) -> String {
        "*4\r\n$\(String(cursor).count)\r\n\(cursor)\r\n:\(keys)\r\n:\(seen)\r\n:\(bytes)\r\n"
    }

    @Test("adds up the replies until all keys of all servers have been scanned")
    func allServers() throws {
        var estimator = StreamSizeEstimator(of: "chat", at: [RedisSlot(1), RedisSlot(9000)])
        #expect(estimator.slot == RedisSlot(1))
        var isValid = try Self.feed(&estimator, Self.answer(17, keys: 300, seen: 200, bytes: 5000))
        #expect(isValid && estimator.slot == RedisSlot(1))
        isValid = try Self.feed(&estimator, Self.answer(0, keys: 300, seen: 100, bytes: 1000))
        #expect(isValid && estimator.slot == RedisSlot(9000) && estimator.bytes == 6000)
        isValid = try Self.feed(&estimator, Self.answer(0, keys: 5, seen: 5, bytes: 70))
        #expect(isValid && estimator.slot == nil && estimator.bytes == 6070)
    }

    @Test("extrapolates from a sample of many keys, and scans at most a hundred times")
    func estimate() throws {
        var estimator = StreamSizeEstimator(of: "chat", at: [.any])
        for scan in 1...100 {
            #expect(estimator.slot != nil)
            let isValid = try Self.feed(
                &estimator, Self.answer(scan, keys: 1_000_000, seen: 200, bytes: 1000))
            #expect(isValid && estimator.bytes == 5_000_000)
        }
        #expect(estimator.slot == nil)
    }

    @Test("rejects an invalid reply")
    func invalidReply() throws {
        var estimator = StreamSizeEstimator(of: "chat", at: [.any])
        let isValid = try Self.feed(&estimator, "*2\r\n$1\r\n0\r\n:1\r\n")
        #expect(!isValid && estimator.slot != nil)
    }
}

import ChatModel
import Testing

@testable import Gateway

@Suite("The bans of a node")
struct BanBoardTests {
    /// Begins and ends a read at this millisecond, if one is due.
    private static func read(_ board: BanBoard, at now: Int64) -> Bool {
        guard let number = board.beginReadIfStale(at: now) else { return false }
        return board.endRead(number, .bans([]))
    }

    @Test("are read once at the start, and again after a possible change")
    func stale() {
        let board = BanBoard()
        #expect(Self.read(board, at: 0) && !Self.read(board, at: 5000))
        board.markStale()
        #expect(Self.read(board, at: 6000) && !Self.read(board, at: 9000))
    }

    @Test("are read every second while announcements do not arrive, and once after that")
    func cutOff() {
        let board = BanBoard()
        #expect(Self.read(board, at: 0))
        board.linkChanged(isCutOff: true)
        let reads = stride(from: Int64(1000), to: 5000, by: 100).filter {
            Self.read(board, at: $0)
        }
        #expect(reads == [1000, 2000, 3000, 4000])
        board.linkChanged(isCutOff: false)
        #expect(Self.read(board, at: 5000) && !Self.read(board, at: 9000))
    }

    @Test("are read again after a failure, and never twice at once")
    func failure() throws {
        let board = BanBoard()
        let first = try #require(board.beginReadIfStale(at: 0))
        board.linkChanged(isCutOff: true)
        #expect(board.beginReadIfStale(at: 3000) == nil)
        #expect(!board.endRead(first, .failed(StoreFailure("no answer"))))
        #expect(Self.read(board, at: 3000))
    }
}

import Synchronization
import TestKit
import TestTraits
import TestWidth
import Testing

@Suite("At a time run", .ownThread)
struct TestWidthTests {
    private static let running = Mutex(0)

    @Test("at most as many tests as the width says", arguments: 0..<3 * default_test_width)
    func width(number: Int) async throws {
        let count = Self.running.withLock {
            $0 += 1
            return $0
        }
        defer { Self.running.withLock { $0 -= 1 } }
        #expect(count <= test_width())
        // As long as a test lasts, so that further ones would start meanwhile.
        try await Task.sleep(for: .milliseconds(20))
    }
}

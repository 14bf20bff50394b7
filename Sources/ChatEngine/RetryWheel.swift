import Bytes
import ChatCore

/// Schedules retries of requests, in a ring of buckets of a tenth of a second.
///
/// It is not a heap: nearly every request is answered long before it is due, and an entry costs
/// eight bytes and no comparison. An outdated or early entry is harmless.
struct RetryWheel: Sendable {
    private var buckets: [[RequestID]] = Array(repeating: [], count: Self.bucketCount)
    /// The last tenth of a second that was processed.
    private var processedThrough: Int64 = -1
    private static let bucketCount = 64
    private static let bucketMilliseconds: Int64 = 100

    /// Inserts a request. A time beyond the range of the wheel is due too early.
    ///
    /// - Returns: the bucket that contains the entry.
    mutating func insert(_ id: RequestID, at time: Int64) -> UInt8 {
        let tenth = (time + Self.bucketMilliseconds - 1) / Self.bucketMilliseconds
        let scheduled = min(
            max(tenth, self.processedThrough + 1), self.processedThrough + Int64(Self.bucketCount))
        let bucket = Int(scheduled % Int64(Self.bucketCount))
        self.buckets[bucket].append(id)
        return UInt8(bucket)
    }

    /// Removes the due entries, each with its bucket.
    mutating func takeDue(at time: Int64) -> [(id: RequestID, bucket: UInt8)] {
        let last = time / Self.bucketMilliseconds
        guard last > self.processedThrough else { return [] }
        var due: [(id: RequestID, bucket: UInt8)] = []
        let first = max(self.processedThrough + 1, last - Int64(Self.bucketCount) + 1)
        for tenth in first...last {
            let bucket = Int(tenth % Int64(Self.bucketCount))
            guard !self.buckets[bucket].isEmpty else { continue }
            for id in self.buckets[bucket] { due.append((id, UInt8(bucket))) }
            // Releases the memory of a burst.
            self.buckets[bucket].clear(keepingCapacityUpTo: 1024)
        }
        self.processedThrough = last
        return due
    }
}

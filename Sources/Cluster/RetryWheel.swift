import Bytes
import ChatCore

/// Which requests are to be looked at when: tenths of a second, used again in turn.
///
/// Not a heap: nearly every request is answered long before its time, and what is written down here for it costs eight
/// bytes and no comparison. Looking at one that has been answered, or too early, is harmless.
struct RetryWheel: Sendable {
    private var buckets: [[RequestID]] = Array(repeating: [], count: Self.bucketCount)
    /// The last tenth of a second that has been looked at.
    private var processedThrough: Int64 = -1
    private static let bucketCount = 64
    private static let bucketMilliseconds: Int64 = 100

    /// What lies further ahead than the table reaches is looked at before its time.
    ///
    /// - Returns: the bucket it stands in.
    mutating func insert(_ id: RequestID, at time: Int64) -> UInt8 {
        let tenth = (time + Self.bucketMilliseconds - 1) / Self.bucketMilliseconds
        let place = min(
            max(tenth, self.processedThrough + 1), self.processedThrough + Int64(Self.bucketCount))
        let bucket = Int(place % Int64(Self.bucketCount))
        self.buckets[bucket].append(id)
        return UInt8(bucket)
    }

    /// Those whose time has come, each with the bucket in which it stood.
    mutating func takeDue(at time: Int64) -> [(id: RequestID, bucket: UInt8)] {
        let last = time / Self.bucketMilliseconds
        guard last > self.processedThrough else { return [] }
        var due: [(id: RequestID, bucket: UInt8)] = []
        let first = max(self.processedThrough + 1, last - Int64(Self.bucketCount) + 1)
        for tenth in first...last {
            let bucket = Int(tenth % Int64(Self.bucketCount))
            guard !self.buckets[bucket].isEmpty else { continue }
            for id in self.buckets[bucket] { due.append((id, UInt8(bucket))) }
            // What a burst has taken is given back.
            self.buckets[bucket].clear(keepingCapacityUpTo: 1024)
        }
        self.processedThrough = last
        return due
    }
}

/// The unit in which a histogram records its values, and the bounds at which it is published.
public enum HistogramScale: Sendable, Hashable {
    /// Recorded in nanoseconds, published in seconds, from 8 µs to 17 s.
    case durations
    /// Recorded and published in bytes, from 64 bytes to 16 MiB.
    case bytes
    /// Recorded and published as counts, from 1 to 65,536.
    case counts

    /// The published bounds, as exponents of two.
    var exponents: StrideThrough<Int> {
        switch self {
        case .durations: stride(from: 13, through: 34, by: 1)
        case .bytes: stride(from: 6, through: 24, by: 2)
        case .counts: stride(from: 0, through: 16, by: 1)
        }
    }

    /// The factor from the recorded unit to the published unit.
    var unit: Double {
        switch self {
        case .durations: 1e-9
        case .bytes, .counts: 1
        }
    }
}

/// Counts values in exponential buckets, sixteen per power of two.
///
/// Recording costs one increment and one addition. A quantile deviates by at most 3.2 % of its
/// value, and is exact up to 16. Values above 2^40 (18 minutes in nanoseconds) count as 2^40. A
/// bucket includes its upper bound, as Prometheus' `le` requires.
public struct Histogram: Sendable, Equatable {
    private static let subBits = 4
    private static let topExponent = 40
    private static let bucketCount = 1 + (topExponent - subBits + 1) << subBits

    private var buckets: [UInt64]
    /// The sum of all values. It wraps at 2^64: 584 years in nanoseconds.
    public private(set) var sum: UInt64 = 0
    /// The largest value so far, or 0 if there is none.
    public private(set) var maximum: UInt64 = 0

    public init() {
        self.buckets = [UInt64](repeating: 0, count: Self.bucketCount)
    }

    public mutating func record(_ value: UInt64) {
        self.buckets[Self.bucket(of: value)] &+= 1
        self.sum &+= value
        if value > self.maximum { self.maximum = value }
    }

    /// Records nanoseconds. A negative duration counts as 0.
    public mutating func record(_ duration: Duration) {
        self.record(UInt64(max(0, duration / .nanoseconds(1))))
    }

    /// The number of recorded values.
    public var count: UInt64 { self.buckets.reduce(0, &+) }

    public var mean: Double {
        let count = self.count
        return count == 0 ? 0 : Double(self.sum) / Double(count)
    }

    /// The value below or at which the share `fraction` (0 to 1) of all values lies. The result is
    /// the middle of its bucket, but at most the largest value. Nil if nothing was recorded.
    public func quantile(_ fraction: Double) -> UInt64? {
        let count = self.count
        guard count > 0 else { return nil }
        let rank = max(1, UInt64((Double(count) * min(max(fraction, 0), 1)).rounded(.up)))
        var cumulative: UInt64 = 0
        for (index, bucket) in self.buckets.enumerated() {
            cumulative += bucket
            if cumulative >= rank {
                let low = index == 0 ? 0 : Self.upperBound(of: index - 1) + 1
                return min(low + (Self.upperBound(of: index) - low) / 2, self.maximum)
            }
        }
        return self.maximum
    }

    /// Adds the values of another histogram.
    public mutating func add(_ other: Histogram) {
        for index in self.buckets.indices { self.buckets[index] &+= other.buckets[index] }
        self.sum &+= other.sum
        self.maximum = max(self.maximum, other.maximum)
    }

    /// The number of values that are at most 2^exponent, for each exponent. Exact, because every
    /// power of two is a bucket's bound.
    func cumulativeCounts(at exponents: some Sequence<Int>) -> [UInt64] {
        var counts: [UInt64] = []
        var cumulative: UInt64 = 0
        var next = 0
        for exponent in exponents {
            let last = Self.bucket(of: 1 << UInt64(exponent))
            while next <= last {
                cumulative += self.buckets[next]
                next += 1
            }
            counts.append(cumulative)
        }
        return counts
    }

    /// Zero has its own bucket. All other buckets include their upper bound but not their lower
    /// one, so the lookup uses the value minus one.
    private static func bucket(of value: UInt64) -> Int {
        guard value > 0 else { return 0 }
        let below = min(value, 1 << UInt64(self.topExponent)) - 1
        guard below >= 1 << UInt64(self.subBits) else { return 1 + Int(below) }
        let shift = 63 - below.leadingZeroBitCount - self.subBits
        let subBucket = Int(below >> UInt64(shift)) & (1 << self.subBits - 1)
        return 1 + (shift + 1) << self.subBits + subBucket
    }

    /// The largest value of a bucket.
    private static func upperBound(of bucket: Int) -> UInt64 {
        guard bucket > 0 else { return 0 }
        let octave = (bucket - 1) >> self.subBits
        let subBucket = UInt64((bucket - 1) & (1 << self.subBits - 1))
        guard octave > 0 else { return subBucket + 1 }
        return (1 << UInt64(self.subBits) + subBucket + 1) << UInt64(octave - 1)
    }
}

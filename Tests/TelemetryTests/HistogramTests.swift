import Testing

@testable import Telemetry

@Suite("A histogram")
struct HistogramTests {
    /// Values of all magnitudes, from a seed.
    private func values(_ count: Int, seed: UInt64) -> [UInt64] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 24) >> ((state >> 3) % 40)
        }
    }

    @Test("estimates quantiles within 3.2 %", arguments: [0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0])
    func quantiles(fraction: Double) throws {
        let values = self.values(20_000, seed: 7)
        var histogram = Histogram()
        for value in values { histogram.record(value) }
        let sorted = values.sorted()
        let exact = Double(sorted[max(0, Int((Double(values.count) * fraction).rounded(.up)) - 1)])
        let estimate = Double(try #require(histogram.quantile(fraction)))
        #expect(abs(estimate - exact) <= max(exact * 0.032, 0))
    }

    @Test("counts a power of two below its bound, and the next value above it")
    func bounds() {
        for exponent in 0..<40 {
            var histogram = Histogram()
            let bound = UInt64(1) << UInt64(exponent)
            histogram.record(bound)
            #expect(histogram.cumulativeCounts(at: [exponent]) == [1])
            histogram.record(bound + 1)
            #expect(histogram.cumulativeCounts(at: [exponent, exponent + 1]) == [1, 2])
        }
    }

    @Test("is exact for small values and accepts zero and the largest value")
    func extremes() {
        for value in 0...16 as ClosedRange<UInt64> {
            var histogram = Histogram()
            histogram.record(value)
            #expect(histogram.quantile(0.5) == value)
        }
        var histogram = Histogram()
        histogram.record(UInt64.max)
        #expect(histogram.count == 1)
        #expect(histogram.maximum == UInt64.max)
        #expect(histogram.quantile(1).map { $0 >= 1 << 39 } == true)
        #expect(Histogram().quantile(0.5) == nil)
    }

    @Test("of two loops equals one histogram of all their values")
    func sum() {
        let values = self.values(1000, seed: 3)
        var all = Histogram()
        var left = Histogram()
        var right = Histogram()
        for (index, value) in values.enumerated() {
            all.record(value)
            if index % 3 == 0 { left.record(value) } else { right.record(value) }
        }
        left.add(right)
        #expect(left == all)
        #expect(left.count == 1000)
        #expect(left.sum == values.reduce(0, +))
    }
}

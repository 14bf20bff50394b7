/// The metrics of one loop at one time, or their sum over several loops.
///
/// A loop counts in plain numbers and occasionally writes them into a snapshot, so counting needs
/// no lock and no atomic. Values of the same family and labels are added, including gauges
/// (connections of loop 1 and of loop 2).
public struct MetricsSnapshot: Sendable, Equatable {
    enum Value: Sendable, Equatable {
        case number(Double)
        case histogram(Histogram)
    }

    struct Series: Sendable, Equatable {
        let family: MetricFamily
        var labels: [MetricLabels] = []
        var values: [MetricLabels: Value] = [:]
    }

    /// In the order in which they were first added, which is the order of the page.
    private(set) var series: [Series] = []
    private var indexByName: [String: Int] = [:]

    public init() {}

    /// Adds to a counter or a gauge.
    public mutating func add(_ value: Double, to family: MetricFamily, labels: MetricLabels = [:]) {
        self.add(.number(value), to: family, labels)
    }

    /// Adds to a counter or a gauge. Exact up to 2^53, as all values in Prometheus.
    public mutating func add(
        _ value: some BinaryInteger, to family: MetricFamily, labels: MetricLabels = [:]
    ) {
        self.add(.number(Double(value)), to: family, labels)
    }

    /// Adds the values of a histogram.
    public mutating func add(
        _ histogram: Histogram, to family: MetricFamily, labels: MetricLabels = [:]
    ) {
        self.add(.histogram(histogram), to: family, labels)
    }

    /// Adds all values of another snapshot.
    public mutating func add(_ other: MetricsSnapshot) {
        for series in other.series {
            for labels in series.labels {
                if let value = series.values[labels] { self.add(value, to: series.family, labels) }
            }
        }
    }

    /// The value of a counter or gauge. Nil if it was never added.
    public func value(of family: MetricFamily, labels: MetricLabels = [:]) -> Double? {
        guard let index = self.indexByName[family.name],
            case .number(let number)? = self.series[index].values[labels]
        else { return nil }
        return number
    }

    /// A histogram. Nil if it was never added.
    public func histogram(of family: MetricFamily, labels: MetricLabels = [:]) -> Histogram? {
        guard let index = self.indexByName[family.name],
            case .histogram(let histogram)? = self.series[index].values[labels]
        else { return nil }
        return histogram
    }

    private mutating func add(_ value: Value, to family: MetricFamily, _ labels: MetricLabels) {
        let index = self.index(of: family)
        switch (family.kind, value, self.series[index].values[labels]) {
        case (.histogram, .histogram, nil), (.counter, .number, nil), (.gauge, .number, nil):
            self.series[index].labels.append(labels)
            self.series[index].values[labels] = value
        case (.counter, .number(let more), .number(let number)?),
            (.gauge, .number(let more), .number(let number)?):
            self.series[index].values[labels] = .number(number + more)
        case (.histogram, .histogram(let more), .histogram(var histogram)?):
            self.series[index].values[labels] = nil  // Otherwise the addition would copy it.
            histogram.add(more)
            self.series[index].values[labels] = .histogram(histogram)
        default:
            preconditionFailure(
                "\(family.name) is a \(family.kind), which has another type of value")
        }
    }

    private mutating func index(of family: MetricFamily) -> Int {
        if let index = self.indexByName[family.name] {
            precondition(
                self.series[index].family == family, "two families have the name \(family.name)")
            return index
        }
        self.indexByName[family.name] = self.series.count
        self.series.append(Series(family: family))
        return self.series.count - 1
    }
}

/// A published metric: its name, its description and its type.
///
/// Names follow Prometheus' rules (https://prometheus.io/docs/practices/naming/): base units
/// (`_seconds`, `_bytes`), and counters end in `_total`. They are part of Confab's interface,
/// because dashboards and alerts depend on them.
public struct MetricFamily: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// Only increases, except after a restart.
        case counter
        /// Increases and decreases.
        case gauge
        case histogram(HistogramScale)
    }

    public let name: String
    public let help: String
    public let kind: Kind

    /// - Precondition: the name is valid in Prometheus.
    public init(_ name: String, _ kind: Kind, help: String) {
        precondition(MetricFamily.isValid(name), "\(name) is not a valid metric name")
        precondition(
            (kind == .counter) == name.hasSuffix("_total"),
            "\(name): the names of counters, and no others, end in _total")
        self.name = name
        self.help = help
        self.kind = kind
    }

    private static func isValid(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "_"), UInt8(ascii: ":"):
                true
            default: false
            }
        }
    }
}

/// The labels that distinguish the samples of a family: `["dialect": "agents"]`.
///
/// Use only labels with few values, because each combination is a separate time series in
/// Prometheus.
public struct MetricLabels: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    struct Label: Sendable, Hashable {
        let name: String
        let value: String
    }

    let labels: [Label]

    public init(dictionaryLiteral elements: (String, String)...) {
        self.labels = elements.map { Label(name: $0.0, value: $0.1) }
    }

    init(_ labels: [Label]) {
        self.labels = labels
    }

    /// A copy with one more label.
    func adding(_ name: String, _ value: String) -> MetricLabels {
        MetricLabels(self.labels + [Label(name: name, value: value)])
    }
}

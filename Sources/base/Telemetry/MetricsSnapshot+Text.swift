public import Bytes

extension MetricsSnapshot {
    /// The content type of `/metrics`.
    public static let contentType: StaticString = "text/plain; version=0.0.4; charset=utf-8"

    /// Writes the page in Prometheus' text exposition format 0.0.4
    /// (https://prometheus.io/docs/instrumenting/exposition_formats/).
    public func write(to page: inout ByteBuffer) {
        for series in self.series {
            page.append("# HELP ")
            page.append(text: series.family.name)
            page.append(UInt8(ascii: " "))
            page.append(escaped: series.family.help, quotes: false)
            page.append("\n# TYPE ")
            page.append(text: series.family.name)
            switch series.family.kind {
            case .counter: page.append(" counter\n")
            case .gauge: page.append(" gauge\n")
            case .histogram: page.append(" histogram\n")
            }
            for labels in series.labels {
                switch (series.family.kind, series.values[labels]) {
                case (_, .number(let number)?):
                    page.append(sample: series.family.name, labels, number)
                case (.histogram(let scale), .histogram(let histogram)?):
                    page.append(histogram: histogram, of: series.family.name, labels, scale)
                default:
                    break
                }
            }
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func append(
        histogram: Histogram, of name: String, _ labels: MetricLabels, _ scale: HistogramScale
    ) {
        let exponents = Array(scale.exponents)
        let count = Double(histogram.count)
        for (exponent, cumulative) in zip(exponents, histogram.cumulativeCounts(at: exponents)) {
            let bound = Self.text(of: Double(1 << UInt64(exponent)) * scale.unit)
            self.append(sample: name + "_bucket", labels.adding("le", bound), Double(cumulative))
        }
        self.append(sample: name + "_bucket", labels.adding("le", "+Inf"), count)
        self.append(sample: name + "_sum", labels, Double(histogram.sum) * scale.unit)
        self.append(sample: name + "_count", labels, count)
    }

    fileprivate mutating func append(sample name: String, _ labels: MetricLabels, _ value: Double) {
        self.append(text: name)
        var separator = UInt8(ascii: "{")
        for label in labels.labels {
            self.append(separator)
            self.append(text: label.name)
            self.append("=\"")
            self.append(escaped: label.value, quotes: true)
            self.append(UInt8(ascii: "\""))
            separator = UInt8(ascii: ",")
        }
        if !labels.labels.isEmpty { self.append(UInt8(ascii: "}")) }
        self.append(UInt8(ascii: " "))
        self.append(text: Self.text(of: value))
        self.append(UInt8(ascii: "\n"))
    }

    /// Formats whole numbers without a fraction, and others in Swift's shortest form, which Go can
    /// parse.
    private static func text(of value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 53 { return whole.description }
        return value.description
    }

    /// Escapes backslashes and line feeds, and in label values also quotation marks.
    fileprivate mutating func append(escaped text: String, quotes: Bool) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): self.append("\\\\")
            case UInt8(ascii: "\n"): self.append("\\n")
            case UInt8(ascii: "\"") where quotes: self.append("\\\"")
            default: self.append(byte)
            }
        }
    }
}

extension JSONDocument {
    /// The number, if it is written as an integer (no fraction, no exponent) and fits. Nil for any
    /// other value.
    public func integer(_ value: JSONValue, in bytes: RawSpan) -> Int? {
        let node = self.nodes[Int(value.index)]
        guard node.kind == .number, !node.hasEscapeOrFraction else { return nil }
        var offset = Int(node.start)
        let isNegative = bytes[byteAt: offset] == UInt8(ascii: "-")
        if isNegative { offset += 1 }
        // The sum is negative, because the negative range has one more number.
        var sum = 0
        while offset < Int(node.end) {
            let (product, overflow) = sum.multipliedReportingOverflow(by: 10)
            let (difference, underflow) = product.subtractingReportingOverflow(
                Int(bytes[byteAt: offset] &- 0x30))
            guard !overflow, !underflow else { return nil }
            sum = difference
            offset += 1
        }
        if isNegative { return sum }
        return sum == .min ? nil : -sum
    }

    /// The nearest `Double`. Nil for any other value and for a number out of range. Too slow for
    /// hot paths.
    public func double(_ value: JSONValue, in bytes: RawSpan) -> Double? {
        let node = self.nodes[Int(value.index)]
        guard node.kind == .number else { return nil }
        let text = bytes.extracting(Int(node.start)..<Int(node.end)).withUnsafeBytes {
            String(decoding: $0, as: UTF8.self)
        }
        guard let number = Double(text), number.isFinite else { return nil }
        return number
    }
}

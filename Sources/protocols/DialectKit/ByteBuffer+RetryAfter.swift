public import Bytes

extension ByteBuffer {
    /// Appends the field that says when a rate-limited client may try again: seconds with two
    /// decimal places.
    public mutating func append(retryAfter seconds: Double) {
        let hundredths = Int((seconds * 100).rounded(.up))
        self.append(#","retry_after":"#)
        self.append(decimal: hundredths / 100)
        self.append(".")
        self.append(zeroPadded: hundredths % 100, digits: 2)
    }
}

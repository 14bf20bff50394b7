public import Bytes

extension ByteBuffer {
    /// The field that says when a client that was too fast may try again: seconds, with two places.
    public mutating func append(retryAfter seconds: Double) {
        let hundredths = Int((seconds * 100).rounded(.up))
        self.append(#","retry_after":"#)
        self.append(decimal: hundredths / 100)
        self.append(".")
        self.append(zeroPadded: hundredths % 100, digits: 2)
    }
}

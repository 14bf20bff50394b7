extension RawSpan {
    /// Whether this is a packet of `ByteBuffer.append(offset:)`.
    var isOffset: Bool {
        let prefix: StaticString = #"42["offset","#
        return self.withUnsafeBytes { bytes in
            bytes.count > prefix.utf8CodeUnitCount
                && bytes.prefix(prefix.utf8CodeUnitCount).elementsEqual(
                    UnsafeBufferPointer(start: prefix.utf8Start, count: prefix.utf8CodeUnitCount))
        }
    }
}

extension Limits {
    /// Throws if the text of a message is empty, only (Unicode) white space, or too long.
    public func check(content: String) throws(ChatError) {
        guard content.utf8.count <= self.contentBytes else {
            throw .contentTooLong(limit: self.contentBytes)
        }
        // The first byte of nearly every message shows that it is not blank.
        if let first = content.utf8.first, first > 0x20, first < 0x7F { return }
        guard content.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
            throw .contentEmpty
        }
    }

    /// Throws if a message must not carry this many bytes of metadata.
    public func check(metadataByteCount count: Int) throws(ChatError) {
        guard count <= self.metadataBytes else { throw .metadataTooLong(limit: self.metadataBytes) }
    }
}

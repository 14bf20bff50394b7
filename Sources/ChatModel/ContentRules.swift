extension ChatLimits {
    /// Throws unless this may be a message's text: not empty, not only (Unicode) white space, not too long.
    public func check(content: String) throws(ChatError) {
        guard content.utf8.count <= self.contentBytes else {
            throw .contentTooLong(limit: self.contentBytes)
        }
        // Nearly every message shows at its first byte that it is not blank.
        if let first = content.utf8.first, first > 0x20, first < 0x7F { return }
        guard content.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
            throw .contentEmpty
        }
    }

    /// Throws unless a message may carry this many bytes of metadata.
    public func check(metadataByteCount count: Int) throws(ChatError) {
        guard count <= self.metadataBytes else { throw .metadataTooLong(limit: self.metadataBytes) }
    }
}

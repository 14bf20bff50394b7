import JSON

/// Encodings that all protocols share.
extension JSONTree {
    /// Parses a frame of the server; nil when it is not a JSON object.
    ///
    /// - Parameter valueLimit: a history may contain more values than other documents.
    static func frame(_ text: [UInt8], valueLimit: Int = 65_536) -> JSONTree? {
        guard let tree = try? JSONTree(parsing: text.span.bytes, valueLimit: valueLimit),
            tree.members != nil
        else { return nil }
        return tree
    }

    /// A message's number: a decimal string or an integer.
    var messageID: Int? {
        guard let id = self.stringValue.flatMap({ Int($0) }) ?? self.integerValue, id > 0 else {
            return nil
        }
        return id
    }

    /// The head of the error `history reset`; nil for any other frame.
    var resetHead: Int? {
        guard (self["error"] ?? self["message"])?.stringValue == "history reset" else { return nil }
        return self["head"]?.stringValue.flatMap { Int($0) } ?? self["head"]?.integerValue
    }

    /// The text of an error, with a default.
    func errorMessage(_ name: String) -> String {
        self[name]?.stringValue ?? "no reason was given"
    }

    var retryAfter: Double? { self["retry_after"]?.doubleValue }
}

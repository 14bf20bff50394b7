import JSON

/// How all protocols write some things.
extension JSONTree {
    /// A frame of the server's; nil when it is no JSON object.
    ///
    /// - Parameter valueLimit: a history may have more values than a document has in general.
    static func frame(_ text: [UInt8], valueLimit: Int = 65_536) -> JSONTree? {
        guard let tree = try? JSONTree(parsing: text.span.bytes, valueLimit: valueLimit),
            tree.members != nil
        else { return nil }
        return tree
    }

    /// A message's number: a decimal string, or an integer.
    var messageID: Int? {
        guard let id = self.stringValue.flatMap({ Int($0) }) ?? self.integerValue, id > 0 else {
            return nil
        }
        return id
    }

    /// The head of an error `history reset`; nil for any other frame.
    var resetHead: Int? {
        guard (self["error"] ?? self["message"])?.stringValue == "history reset" else { return nil }
        return self["head"]?.stringValue.flatMap { Int($0) } ?? self["head"]?.integerValue
    }

    /// The words of an error, which may be missing.
    func errorMessage(_ name: String) -> String {
        self[name]?.stringValue ?? "no reason was given"
    }

    var retryAfter: Double? { self["retry_after"]?.doubleValue }
}

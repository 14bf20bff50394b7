internal import Configuration
import JSON

/// Selects the messages that `confab trace --user` prints, as a value: each once, when its path is
/// complete or does not continue.
struct TraceLines {
    /// A message that did not get further in this time is printed as it is.
    static let patience = 2.0
    /// The number of printed messages that it remembers.
    private static let memory = 4096

    private var printed: Set<String> = []
    private var order: [String] = []
    /// When an unfinished message was first seen, in seconds since the start.
    private var firstSeen: [String: Double] = [:]

    /// - Parameters:
    ///   - rows: the messages of the last seconds; consecutive answers overlap.
    ///   - elapsed: the seconds since the start.
    ///   - isLast: whether there is no later call, so that nothing waits.
    /// - Returns: the rows to print.
    mutating func select(_ rows: [JSONTree], elapsed: Double, isLast: Bool) -> [JSONTree] {
        var selected: [JSONTree] = []
        var waiting: [String: Double] = [:]
        for row in rows {
            let id = Self.id(of: row)
            guard !self.printed.contains(id) else { continue }
            let since = self.firstSeen[id] ?? elapsed
            let isFinal = ["delivered", "failed"].contains(row["state"]?.stringValue)
            guard isFinal || isLast || elapsed - since >= Self.patience else {
                waiting[id] = since
                continue
            }
            self.remember(id)
            selected.append(row)
        }
        self.firstSeen = waiting
        return selected
    }

    private mutating func remember(_ id: String) {
        self.printed.insert(id)
        self.order.append(id)
        if self.order.count > 2 * Self.memory {
            for old in self.order.prefix(Self.memory) { self.printed.remove(old) }
            self.order.removeFirst(Self.memory)
        }
    }

    /// A message without a number is identified by its time.
    private static func id(of row: JSONTree) -> String {
        let conversation = row["conversation"]?.stringValue ?? ""
        let number = row["message"]?.integerValue.map { "#\($0)" }
        return "\(number ?? row["timestamp"]?.stringValue ?? "") \(conversation)"
    }

    /// A line for people, such as `12:00:05.123  #42 of lobby from  n1 → n2  delivered …`.
    static func line(of row: JSONTree) -> String {
        func word(_ key: String) -> String { Formatting.escaped(row[key]?.stringValue ?? "-") }
        func time(_ key: String, _ label: String) -> String? {
            row[key]?.doubleValue.map { "\(label) +\(OperatorText.decimal($0)) ms" }
        }
        let number = row["message"]?.integerValue.map { "#\($0)" } ?? "no number yet"
        let parts = [
            String(word("timestamp").dropFirst(11).prefix(12)),
            "\(number) in \(word("conversation")), \(word("direction")) the user",
            "\(word("accepted_on")) → \(word("owner"))", word("state"),
            time("stored", "stored"), time("first_written", "written"),
            row["sockets"]?.integerValue.flatMap {
                $0 > 0 ? OperatorText.count($0, "socket") : nil
            },
            time("delivered", "delivered"),
        ]
        return parts.compactMap(\.self).joined(separator: "  ") + "\n"
    }
}

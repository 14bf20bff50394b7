import ConfabClient

/// Counts the failures of a run by kind, with an example of each.
struct LoadFailures: Sendable, Equatable {
    enum Kind: String, Sendable, CaseIterable {
        /// A connection that was rejected.
        case refused
        /// A connection that ended during the run.
        case closedEarly = "closed_early"
        case lost
        case repeated
        /// A message that arrived after a later one of the same publisher.
        case late
        case foreign
        /// Members that received other messages, or another order, than the rest of their
        /// conversation.
        case outOfOrder = "out_of_order"
        /// Error frames of the server, including rejected messages.
        case applicationErrors = "application_errors"
        /// The run ended early.
        case stalled
    }

    struct Entry: Sendable, Equatable {
        var count: UInt64 = 0
        var example: String?
    }

    private(set) var entries: [Kind: Entry] = [:]

    var isEmpty: Bool { self.entries.isEmpty }

    func count(of kind: Kind) -> UInt64 { self.entries[kind]?.count ?? 0 }

    mutating func add(_ kind: Kind, count: UInt64 = 1, example: @autoclosure () -> String? = nil) {
        guard count > 0 else { return }
        self.entries[kind, default: Entry()].count += count
        if self.entries[kind]?.example == nil {
            self.entries[kind]?.example = example().map { SafeText.line($0, limit: 300) }
        }
    }

    /// One sentence per kind, the likeliest cause first.
    var descriptions: [String] {
        Kind.allCases.compactMap { kind in
            guard let entry = self.entries[kind] else { return nil }
            let example = entry.example.map { " \($0)" } ?? ""
            return Self.description(kind, entry.count) + example
        }
    }

    private static func description(_ kind: Kind, _ count: UInt64) -> String {
        switch kind {
        case .refused: "\(count) connections were refused."
        case .closedEarly: "\(count) connections ended early."
        case .lost: "\(count) deliveries were lost."
        case .repeated: "\(count) deliveries were repeated."
        case .late: "\(count) deliveries arrived after later ones of the same sender."
        case .foreign: "\(count) deliveries reached members of other conversations."
        case .outOfOrder:
            """
            \(count) members received other messages, or another order, than the first of their \
            conversation.
            """
        case .applicationErrors: "The server answered with \(count) errors."
        case .stalled: "The run ended early:"
        }
    }
}

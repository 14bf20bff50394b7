import ChatClient

/// What went wrong in a run, counted; of each kind the first is kept in words.
struct LoadFailures: Sendable, Equatable {
    enum Kind: String, Sendable, CaseIterable {
        /// A connection that was not let in.
        case refused
        /// A connection that ended while the run lasted.
        case closedEarly = "closed_early"
        case lost
        case repeated
        /// A message that came behind a later one of the same sender.
        case late
        case foreign
        /// Members who heard something else than the others, or in another order.
        case outOfOrder = "out_of_order"
        /// What the server called an error, or a message that it did not take.
        case applicationErrors = "application_errors"
        /// The run ended before its time.
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

    /// One sentence for each kind, the likeliest cause first.
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
        case .late: "\(count) deliveries came behind later ones of the same sender."
        case .foreign: "\(count) deliveries came to members of other conversations."
        case .outOfOrder:
            "\(count) members heard something else, or in another order, than the first of their conversation."
        case .applicationErrors: "The server answered with \(count) errors."
        case .stalled: "The run was ended before its time:"
        }
    }
}

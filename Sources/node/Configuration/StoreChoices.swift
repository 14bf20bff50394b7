/// The kinds of stores that `--store` accepts, from the program's list of stores.
public struct StoreChoices: Sendable {
    /// In the order of errors and completion.
    let kinds: [StoreKind]
    /// The default of `--store`.
    let standard: String

    public init(_ kinds: [StoreKind], default standard: String) {
        self.kinds = kinds
        self.standard = standard
    }

    /// No store, for texts and subcommands without one.
    public static let none = StoreChoices([], default: "")

    /// The forms for the help, the default first.
    var helpList: String {
        let others = self.kinds.filter { !self.isStandard($0) }
        return (self.kinds.filter(self.isStandard) + others).map(\.helpForm).listed(", or ")
    }

    private func isStandard(_ kind: StoreKind) -> Bool {
        self.standard.hasPrefix("\(kind.name):")
    }

    /// The kinds that retain all messages on request, as part of a sentence.
    var unlimitedList: String {
        self.kinds.filter(\.hasUnlimitedHistory).map { "\($0.name):" }.listed(" and ")
    }

    /// An error for an unknown URL names only its scheme, because the URL may contain a password.
    func parse(_ text: String) throws(ValueProblem) -> StoreLocation {
        let supported = "use \(self.kinds.flatMap(\.forms).listed(" or "))"
        guard let colon = text.firstIndex(of: ":") else {
            throw ValueProblem("\(text.quoted) is not a store URL; \(supported)")
        }
        let scheme = text[..<colon].lowercased()
        let rest = String(text[text.index(after: colon)...])
        for kind in self.kinds {
            if let location = try kind.parse(kind, scheme, rest) { return location }
        }
        throw ValueProblem("unknown store kind \(scheme.quoted); \(supported)")
    }
}

extension [String] {
    /// The texts with commas between them, and `last` before the last one.
    func listed(_ last: String) -> String {
        guard let final = self.last, self.count > 1 else { return self.first ?? "" }
        return self.dropLast().joined(separator: ", ") + last + final
    }
}

internal import Configuration

/// The result of one check on one node.
struct DoctorFinding: Sendable, Equatable {
    enum DoctorSeverity: String, Sendable, Comparable {
        case ok, warning, failed

        private var rank: Int {
            switch self {
            case .ok: 0
            case .warning: 1
            case .failed: 2
            }
        }

        static func < (one: Self, other: Self) -> Bool { one.rank < other.rank }
    }

    let severity: DoctorSeverity
    /// A sentence with the values that decide.
    let sentence: String
    /// The sentence that says what to do; nil if the check passed.
    let remedy: String?

    static func ok(_ sentence: String) -> Self {
        Self(severity: .ok, sentence: sentence, remedy: nil)
    }

    static func warning(_ sentence: String, _ remedy: String) -> Self {
        Self(severity: .warning, sentence: sentence, remedy: remedy)
    }

    static func failed(_ sentence: String, _ remedy: String) -> Self {
        Self(severity: .failed, sentence: sentence, remedy: remedy)
    }
}

/// A check of `confab doctor`: a pure function from facts to a finding.
struct DoctorCheck: Sendable {
    /// The name in the table, and of the entry in docs/operating/runbook.md.
    let name: String
    /// Receives a node that answers, and all nodes. Returns nil if the check does not apply.
    let examine: @Sendable (NodeFacts, [NodeFacts]) -> DoctorFinding?

    static let answers = "node-answers"

    static let all = clusterChecks + nodeChecks + webhookChecks + redisChecks

    /// All findings, the worst first.
    static func findings(_ nodes: [NodeFacts]) -> [(
        check: String, node: String, finding: DoctorFinding
    )] {
        var findings: [(check: String, node: String, finding: DoctorFinding)] = []
        for node in nodes {
            guard node.isAnswering else {
                findings.append(
                    (
                        Self.answers, node.name,
                        .failed(
                            "The node does not answer within two seconds.",
                            """
                            Read its log and `confab status`. If the process has ended, start it; \
                            if Redis is the cause, repair Redis first.
                            """)
                    ))
                continue
            }
            findings.append((Self.answers, node.name, .ok("The node answers.")))
            for check in Self.all {
                guard let finding = check.examine(node, nodes) else { continue }
                findings.append((check.name, node.name, finding))
            }
        }
        // Sorted by severity only; the sort is stable.
        return [.failed, .warning, .ok].flatMap { severity in
            findings.filter { $0.finding.severity == severity }
        }
    }
}

/// Sizes and times in sentences.
enum DoctorText {
    static func bytes(_ count: Int) -> String {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        guard let (unit, size) = units.first(where: { count >= $0.1 }) else { return "\(count) B" }
        return "\(OperatorText.decimal(Double(count) / Double(size))) \(unit)"
    }

    static func percent(_ part: Int, of whole: Int) -> Int {
        whole > 0 ? Int((100 * Double(part) / Double(whole)).rounded()) : 0
    }

    static func days(_ milliseconds: Int) -> String {
        let days = abs(milliseconds) / 86_400_000
        return days == 0 ? "less than a day" : OperatorText.count(days, "day")
    }
}

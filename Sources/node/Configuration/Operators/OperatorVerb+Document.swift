public import JSON

/// The verbs as a document for the operators' page, which has no list of its own.
extension OperatorVerb {
    /// The API paths that only the operators' page uses. The command line does not have them.
    public static let pageVerbs: [OperatorVerb] = [
        OperatorVerb(
            "overview", "everything that the operators' page repeats", display: .custom,
            examples: []),
        OperatorVerb("verbs", "the verbs of this table", display: .custom, examples: []),
    ]

    /// The verbs that a page can use as the command line does. It writes no files of the client.
    public static var documents: [JSONTree] {
        self.all.filter { $0.isCommand && $0.path != nil && !$0.writesFile }.map(\.document)
    }

    /// The row: its path, role, parameters, and the columns of its rows and sections.
    private var document: JSONTree {
        var rowsKey = JSONTree.null
        var hasTotals = false
        var sections: [Section] = []
        switch self.display {
        case .table(let key, _, let totals, _):
            rowsKey = .string(key)
            hasTotals = totals
        case .record(_, _, let tables): sections = tables
        case .summary, .custom: break
        }
        return [
            "name": .string(self.name), "summary": .string(self.summary),
            "path": self.path.map { .string($0) } ?? .null,
            "role": .string(self.role.rawValue), "is_change": .bool(self.isChange), "rows": rowsKey,
            "has_totals": .bool(hasTotals),
            "parameters": .array(self.parameters.filter { !$0.isOfClient }.map(\.document)),
            "columns": .array(self.columns.map(\.document)),
            "sections": .array(
                sections.map { section in
                    [
                        "title": .string(section.title), "key": .string(section.key),
                        "columns": .array(section.columns.map(\.document)),
                    ]
                }),
        ]
    }
}

extension OperatorColumn {
    var document: JSONTree {
        [
            "title": .string(self.title), "key": .string(self.key),
            "format": .string(self.format.rawValue), "is_summed": .bool(self.isSummed),
        ]
    }
}

extension OperatorParameter {
    /// `option` is the name on the command line; empty if only the API has the parameter.
    var document: JSONTree {
        [
            "name": .string(self.name), "option": .string(self.word),
            "is_argument": .bool(self.isArgument), "is_required": .bool(self.isRequired),
            "default": self.defaultValue ?? .null, "help": .string(self.help),
            "type": .string(self.type), "choices": .array(self.choices.map { .string($0) }),
        ]
    }

    private var type: String {
        switch self.kind {
        case .text, .user, .tenant, .file: "text"
        // Between commas in a form.
        case .users: "users"
        case .number, .rate: "integer"
        case .duration: "seconds"
        case .choice: "choice"
        case .flag: "flag"
        }
    }

    private var choices: [String] {
        guard case .choice(let words) = self.kind else { return [] }
        return words
    }
}

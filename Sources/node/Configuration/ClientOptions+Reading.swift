extension OptionBinding {
    /// Applies the values of the command line. A later value of the same option replaces the
    /// earlier one, or is added to it.
    static func apply(
        _ bindings: [OptionBinding<Target>], from scanned: ScannedArguments,
        environment: [String: String] = [:], to target: inout Target
    ) throws(UsageError) {
        let sources = SettingSources(commandLine: scanned, environment: environment, file: nil)
        for binding in bindings {
            let values = sources.values(of: binding.spec)
            if !values.isEmpty { binding.reset(&target) }
            for value in values {
                do throws(ValueProblem) {
                    try binding.apply(&target, value.text)
                } catch {
                    throw .badValue(name: value.location(of: binding.spec), problem: error.reason)
                }
            }
        }
    }
}

extension TokenOptions {
    init(_ scanned: ScannedArguments) throws(UsageError) {
        var draft = TokenTable.Draft()
        try OptionBinding.apply(TokenTable.bindings, from: scanned, to: &draft)
        guard !draft.options.subject.isEmpty else {
            throw .missingArgument("--sub USER", command: "token")
        }
        switch (draft.secretFile, draft.database) {
        case (let path?, nil): draft.options.key = .secretFile(path)
        case (nil, let path?): draft.options.key = .databaseSecret(path)
        case (nil, nil):
            throw .missingArgument("--secret-file FILE or --database PATH", command: "token")
        case (_?, _?):
            throw .conflict("token: give either --secret-file or --database, not both")
        }
        self = draft.options
    }
}

extension ChatOptions {
    init(_ scanned: ScannedArguments, _ table: CommandTable) throws(UsageError) {
        self.init()
        try OptionBinding.apply(ChatTable.bindings(table.choices), from: scanned, to: &self)
        self.url = try Invocation.argument(0, in: scanned, of: table.chat, ServerURL.parse)
        if self.token != nil, self.tokenFile != nil {
            throw .conflict("chat: give either --token or --token-file, not both")
        }
        guard self.name != nil else { return }
        if self.token != nil || self.tokenFile != nil {
            throw .conflict(
                "chat: --name: only for anonymous connections; a token already names you")
        }
        guard let dialect = table.choices.chat.first(where: { $0.name == self.dialect }) else {
            return
        }
        if dialect.requiresToken {
            throw .conflict(
                "chat: --name: only for anonymous connections; this protocol requires a token")
        }
        if !dialect.acceptsNames {
            let others = table.choices.chat.filter(\.acceptsNames).map(\.name)
            throw .conflict(
                """
                chat: --name: only for \(others.joined(separator: " and ")); in \(dialect.name) \
                the server names anonymous users
                """
            )
        }
    }
}

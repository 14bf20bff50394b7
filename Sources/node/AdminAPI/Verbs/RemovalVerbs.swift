internal import Bytes
internal import ChatModel
internal import Gateway
internal import HTTPWire
internal import JSON

/// Ending conversations, and deleting their contents. The conversation's owner executes every
/// change, so each is stored, numbered and fenced like a user's.
struct RemovalVerbs: VerbGroup {
    let context: AdminContext

    var handlers: [String: AdminHandler] { ["end": self.end, "delete": self.delete] }

    /// The clients see this name as the one who ended the conversation.
    private static let operatorPrincipal = Principal(
        person: Person(id: UserID(tokenSubject: "operator"), name: "operator"), isAdmin: true)
    private static let concurrentDeletions = 64
    private static let pageSize = 512
    /// Less than the client's timeout.
    private static let deletionTime = Duration.seconds(6)

    private func end(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let key = request.conversation
        let what = "\(key.id) of tenant \(key.tenant)"
        guard try await self.context.loadModerated(key).record.endedAt == nil else {
            throw HTTPError(.conflict, "\(what) has ended already.")
        }
        if request.isDryRun { return .summary("would end \(what)") }
        _ = try await self.context.command(.end(by: Self.operatorPrincipal), in: key)
        self.context.recordModeration("end", request, detail: what)
        return .summary("ended \(what)")
    }

    private func delete(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let key = request.conversation
        let what = "\(key.id) of tenant \(key.tenant)"
        let loaded = try await self.context.loadModerated(key)
        guard let sequence = request.number("message") else {
            return try await self.deleteConversation(request, loaded, what)
        }
        // A pinned message may have left the history.
        guard
            (loaded.oldest..<loaded.head + 1).contains(sequence)
                || loaded.pins.contains(where: { $0.sequence == sequence })
        else {
            throw HTTPError(.notFound, "There is no message \(sequence) in \(what).")
        }
        if request.isDryRun { return .summary("would delete message \(sequence) of \(what)") }
        _ = try await self.context.command(.delete(sequence, by: Self.operatorPrincipal), in: key)
        self.context.recordModeration("delete", request, detail: "message \(sequence) of \(what)")
        return .summary("deleted message \(sequence) of \(what)")
    }

    /// Ends the conversation first, so that no message can follow. Every step may be repeated.
    private func deleteConversation(
        _ request: AdminRequest, _ loaded: LoadedConversation, _ what: String
    ) async throws(HTTPError) -> JSONTree {
        let key = request.conversation
        let retained = loaded.head - loaded.oldest + 1
        guard !request.isDryRun else {
            return .summary(
                """
                would end \(what), delete its \(retained) retained messages and remove its \
                \(loaded.currentMembers.count) members
                """)
        }
        // Recorded first, because a part may be done before an error.
        self.context.recordModeration("delete", request, detail: "conversation \(what)")
        let deadline = ContinuousClock.now.advanced(by: Self.deletionTime)
        if loaded.record.endedAt == nil {
            _ = try await self.context.command(.end(by: Self.operatorPrincipal), in: key)
        }
        let pinned = loaded.pins.map(\.sequence).filter { $0 < loaded.oldest }
        try await self.run(
            pinned.map { .delete($0, by: Self.operatorPrincipal) }, in: key, until: deadline
        ) { "\($0) messages of \(what) are deleted so far" }
        var after = loaded.oldest - 1
        var deleted = pinned.count
        while true {
            let page = try await self.context.page(key, .after(after), limit: Self.pageSize)
            let commands = page.messages.filter { $0.state != .deleted }.map {
                ChatCommand.delete($0.sequence, by: Self.operatorPrincipal)
            }
            try await self.run(commands, in: key, until: deadline) {
                "\(deleted + $0) messages of \(what) are deleted so far"
            }
            deleted += commands.count
            guard let last = page.messages.last?.sequence, last < page.head else { break }
            after = last
        }
        let members = loaded.currentMembers.map(\.user)
        try await self.run(
            members.map { .removeMember($0, by: Self.operatorPrincipal) }, in: key, until: deadline
        ) {
            "the messages of \(what) are deleted, and \($0) members are removed so far"
        }
        return .summary(
            "ended \(what), deleted \(deleted) messages and removed \(members.count) members",
            [.init("deleted", .integer(deleted)), .init("removed", .integer(members.count))])
    }

    /// Executes commands, several at once. What is done already is no error.
    ///
    /// - Parameter progress: says what is done, for the error of an incomplete execution.
    private func run(
        _ commands: [ChatCommand], in key: ConversationKey,
        until deadline: ContinuousClock.Instant, progress: (Int) -> String
    ) async throws(HTTPError) {
        var done = 0
        for start in stride(from: 0, to: commands.count, by: Self.concurrentDeletions) {
            guard ContinuousClock.now < deadline else {
                throw HTTPError(.conflict, "\(progress(done)); repeat the command.")
            }
            let part = commands[start..<min(start + Self.concurrentDeletions, commands.count)]
            let problems = await withTaskGroup(of: HTTPError?.self) { group in
                for command in part {
                    group.addTask {
                        do throws(HTTPError) {
                            _ = try await self.context.command(command, in: key)
                            return nil
                        } catch {
                            // Another operator, the author or the retention was faster.
                            return [.conflict, .notFound].contains(error.status) ? nil : error
                        }
                    }
                }
                var problems: [HTTPError] = []
                for await problem in group { if let problem { problems.append(problem) } }
                return problems
            }
            done += part.count - problems.count
            if let problem = problems.first {
                throw HTTPError(
                    problem.status,
                    "\(progress(done)): \(problem.message) Repeat the command.")
            }
        }
    }
}

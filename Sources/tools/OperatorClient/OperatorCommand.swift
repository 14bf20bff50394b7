internal import Bytes
internal import ChatModel
public import Configuration
import Glibc
import JSON
internal import NodeLink
internal import RedisClient

/// A subcommand for operators, such as `confab nodes`. It queries one node, which queries the
/// others, and displays the result.
public struct OperatorCommand {
    let options: OperatorOptions
    let screen: Screen
    let client: AdminClient
    let token: String?
    /// A node, or Redis.
    private let source: any AdminSource

    /// - Returns: the exit status.
    public static func run(_ options: OperatorOptions, environment: [String: String]) -> Int32 {
        let screen = Screen(
            environment: environment, isTable: options.output == .table,
            isRedrawn: options.watch != nil)
        do throws(StartProblem) {
            let token = try Self.token(options.tokenFile)
            let client = AdminClient(options.urls, token: token)
            let source = try options.via.map { url throws(StartProblem) in
                try Self.redisSource(url, options)
            }
            return Self(
                options: options, screen: screen, client: client, token: token,
                source: source ?? client
            ).run()
        } catch {
            screen.printError("confab: \(error.message)")
            return UsageError.exitStatus
        }
    }

    private static func redisSource(_ url: RedisURL, _ options: OperatorOptions)
        throws(StartProblem) -> any AdminSource
    {
        do {
            return RedisAdminSource(
                try ClusterReader(
                    url, trusting: options.redisCAFile, clusterName: options.clusterName))
        } catch {
            throw StartProblem(message: "--via: \(error)")
        }
    }

    private struct StartProblem: Error {
        let message: String
    }

    private static func token(_ path: String?) throws(StartProblem) -> String? {
        guard let path else { return nil }
        do throws(FileProblem) {
            let token = try FileProblem.readSecret(path)
            guard !token.isEmpty, token.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw FileProblem("must contain a token on one line")
            }
            return String(decoding: token, as: UTF8.self)
        } catch {
            throw StartProblem(message: "--admin-token-file: \(path): \(error)")
        }
    }

    private func run() -> Int32 {
        if self.options.verb.name == "top" { return self.top() }
        guard let pause = self.options.watch else { return self.runOnce() }
        while true {
            let status = self.runOnce()
            let interval = "every \(OperatorText.decimal(pause / .seconds(1))) s"
            self.screen.drawFrame(
                under:
                    """
                    confab \(self.options.verb.name)   \(interval)   \(Self.now.text)   Ctrl-C \
                    to stop
                    """
            )
            // A node that did not answer may answer the next time; a usage error remains.
            if status == UsageError.exitStatus || self.screen.hasFailed { return status }
            Self.waitBeforeNextRequest(pause)
        }
    }

    /// Sleeps between two requests of a command that follows a node. Such a command must poll,
    /// because the admin API only answers requests and sends no notifications.
    static func waitBeforeNextRequest(_ pause: Duration = .milliseconds(500)) {
        poll(nil, 0, Int32(pause / .milliseconds(1)))
    }

    private static var now: Timestamp { Timestamp(milliseconds: Int64(time(nil)) * 1000) }

    private func runOnce() -> Int32 {
        do throws(AdminProblem) {
            switch self.options.verb.name {
            case "tail": return try self.tail()
            case "trace": return try self.trace()
            case "drain": return try self.drain()
            case "resume": return try self.resume()
            case "health": return self.health()
            case "verify":
                return self.options["all"] == nil ? try self.showDocument() : try self.verifyAll()
            case "webhooks": return try self.webhooks()
            case "shards": return try self.shards()
            case "support": return try self.support()
            case "await": return try self.awaitCondition()
            case "rebalance": return try self.rebalance()
            case _ where self.options.follows: return try self.follow()
            default: return try self.showDocument()
            }
        } catch {
            self.screen.printError("confab: \(error.message)")
            return error.exitStatus
        }
    }

    // MARK: Display

    /// Requests the verb's document and shows it as the verb's row says.
    ///
    /// - Parameter parameters: nil for those of the command line.
    func showDocument(parameters: [JSONTree.ObjectMember]? = nil) throws(AdminProblem) -> Int32 {
        let verb = self.options.verb
        guard let path = verb.path else { preconditionFailure("\(verb.name) has no path") }
        switch verb.display {
        case .table(let key, let columns, let hasTotals, let isLarge):
            return try self.showTable(
                path, key, columns, hasTotals: hasTotals, isLarge: isLarge, parameters: parameters)
        case .record(let columns, let sentences, let sections):
            return self.showRecord(
                try self.source.get(path, self.options.parameters), columns, sentences, sections)
        case .summary: return try self.change(path, self.options.parameters)
        case .custom: preconditionFailure("\(verb.name) has no code")
        }
    }

    /// Finds a column for `option`, or prints the error.
    private func column(
        _ name: String, of option: String, among columns: [OperatorColumn]
    ) -> OperatorColumn? {
        if let column = RowTable.column(name, among: columns) { return column }
        let names = columns.map(\.title).joined(separator: ", ")
        self.screen.printError(
            """
            confab: --\(option): "\(Formatting.escaped(name))" is not a column of \
            \(self.options.verb.name): \(names)
            """
        )
        return nil
    }

    /// Displays a document whose rows are under `key`.
    ///
    /// - Parameter complete: adds what the command itself derives from the document.
    func showTable(
        _ path: String, _ key: String, _ columns: [OperatorColumn], hasTotals: Bool, isLarge: Bool,
        parameters: [JSONTree.ObjectMember]? = nil, complete: (JSONTree) -> JSONTree = { $0 }
    ) throws(AdminProblem) -> Int32 {
        var order: (key: String, isDescending: Bool)?
        if let name = self.options.sort {
            let isDescending = name.hasPrefix("-")
            let title = isDescending ? String(name.dropFirst()) : name
            guard let found = self.column(title, of: "sort", among: columns) else {
                return UsageError.exitStatus
            }
            order = (found.key, isDescending)
        }
        var chosen: [OperatorColumn]?
        if let names = self.options.columns {
            var found: [OperatorColumn] = []
            for name in names {
                guard let column = self.column(name, of: "columns", among: columns) else {
                    return UsageError.exitStatus
                }
                found.append(column)
            }
            chosen = found
        }
        var values = parameters ?? self.options.parameters
        if isLarge {
            if let order {
                values.append(
                    .init("sort", .string((order.isDescending ? "-" : "") + order.key)))
            }
            // Beyond the bound of the API, the count below the table says how many rows there are.
            if let limit = self.options.limit {
                let bound = OperatorVerb.rowLimits.upperBound
                values.append(.init("limit", .integer(min(limit, bound))))
            }
        }
        let document = complete(try self.source.get(path, values))
        let all = document[key]?.elements ?? []
        // Columns without any value are left out.
        let visible = columns.filter { column in
            column.importance == .max || all.contains { !($0[column.key] ?? .null).isNull }
        }
        let isAll = self.options.output == .csv || self.options.isWide
        var rows = RowTable(chosen ?? (isAll ? columns : visible), all)
        if let order { rows.sort(by: order.key, isDescending: order.isDescending) }
        if let limit = self.options.limit { rows.limit(to: limit) }
        switch self.options.output {
        case .table:
            let hasHeader = self.options.hasHeader
            if rows.rows.isEmpty {
                let name = key.split(separator: "_").joined(separator: " ")
                if hasHeader { self.screen.write("There are no \(name).\n") }
                break
            }
            self.screen.show(
                rows.table(totalsOf: hasTotals && hasHeader ? all : nil), hasHeader: hasHeader,
                isWhole: self.options.isWide || chosen != nil)
            if hasHeader { self.screen.showRowCount(of: document, shown: rows.rows.count) }
        case .csv: self.screen.write(rows.csv(hasHeader: self.options.hasHeader))
        case .json:
            self.screen.write(self.replacing(key, in: document, with: rows.rows).text + "\n")
        }
        if self.options.output == .table { self.showRemedies(of: document) }
        return self.status(of: document)
    }

    /// The exit status for a document that was shown.
    private func status(of document: JSONTree) -> Int32 {
        let status = self.screen.showMissingNodes(of: document)
        guard let key = self.options.verb.successKey else { return status }
        return document[key]?.boolValue == true ? status : 1
    }

    /// Below the table of `confab doctor`, because sentences do not fit into columns.
    private func showRemedies(of document: JSONTree) {
        for row in document["checks"]?.elements ?? [] {
            guard let remedy = row["remedy"]?.stringValue else { continue }
            let (node, check) = (row["node"]?.stringValue ?? "?", row["check"]?.stringValue ?? "?")
            let finding = row["finding"]?.stringValue ?? "?"
            self.screen.write(
                """

                ! \(Formatting.escaped("\(node), \(check): \(finding)"))
                  \(Formatting.escaped(remedy))\n
                """)
        }
    }

    private func replacing(_ key: String, in document: JSONTree, with rows: [JSONTree]) -> JSONTree
    {
        .object(
            (document.members ?? []).map {
                $0.name == key ? JSONTree.ObjectMember(key, .array(rows)) : $0
            })
    }

    private func showRecord(
        _ document: JSONTree, _ columns: [OperatorColumn], _ sentences: OperatorVerb.Sentences?,
        _ sections: [OperatorVerb.Section]
    ) -> Int32 {
        switch self.options.output {
        case .table:
            self.screen.write(
                RowTable(columns.filter { $0.key != sentences?.key }, [document]).record())
            if let sentences {
                let list = (document[sentences.key]?.elements ?? []).compactMap(\.stringValue)
                self.screen.write(
                    "\n"
                        + (list.isEmpty
                            ? sentences.whenEmpty + "\n"
                            : list.map { "! \(Formatting.escaped($0))\n" }.joined()))
            }
            for section in sections { self.show(section, of: document) }
        case .csv: self.screen.write(RowTable(columns, [document]).csv())
        case .json: self.screen.write(document.text + "\n")
        }
        return self.status(of: document)
    }

    /// A table of a record, with as many columns as fit.
    private func show(_ section: OperatorVerb.Section, of document: JSONTree) {
        guard let rows = document[section.key]?.elements else {
            return self.screen.write("\n\(section.title): unknown\n")
        }
        self.screen.write("\n\(section.title): \(rows.isEmpty ? "none" : "\(rows.count)")\n")
        guard !rows.isEmpty else { return }
        self.screen.show(
            RowTable(section.columns, rows).table(), hasHeader: true,
            isWhole: self.options.isWide)
    }

    // MARK: Changes

    /// Asks the node what the change would do, asks for confirmation, and orders it.
    func change(_ path: String, _ values: [JSONTree.ObjectMember]) throws(AdminProblem) -> Int32 {
        guard self.isChangeAllowed else { return UsageError.exitStatus }
        if self.options.isDryRun || self.screen.canAsk && !self.options.isConfirmed {
            let plan = try self.client.post(path, values + [.init("dry_run", true)])
            if self.options.isDryRun { return self.showSummary(of: plan) }
            let question = "It \(plan["summary"]?.stringValue ?? "would be done")."
            guard self.screen.confirms(question + " Do it?") else { return 1 }
        }
        return self.showSummary(of: try self.client.post(path, values))
    }

    /// Whether the user can confirm or has confirmed the change, or none is intended; otherwise
    /// prints the error.
    var isChangeAllowed: Bool {
        if self.options.isDryRun || self.options.isConfirmed || self.screen.canAsk { return true }
        self.screen.printError(
            "confab: \(self.options.verb.name): without a terminal, --yes must confirm the change")
        return false
    }

    /// Whether `--yes` was given, or the user agrees now.
    func isConfirmed(_ question: String) -> Bool {
        self.options.isConfirmed || self.screen.confirms(question)
    }

    private func showSummary(of document: JSONTree) -> Int32 {
        switch self.options.output {
        case .table, .csv:
            self.screen.write(Formatting.escaped(document["summary"]?.stringValue ?? "done") + "\n")
        case .json: self.screen.write(document.text + "\n")
        }
        return self.status(of: document)
    }

    // MARK: Messages

    /// Prints new messages until it is interrupted.
    private func tail() throws(AdminProblem) -> Int32 {
        let place = self.options.parameters.filter { $0.name != "after" }
        var after = self.options["after"]?.integerValue
        while true {
            let page = after.map { ("after", $0) } ?? ("last", 1)
            let document = try self.client.get("history", place + [.init(page.0, .integer(page.1))])
            let messages = after == nil ? [] : document["messages"]?.elements ?? []
            for message in messages {
                self.screen.write(self.line(of: message, OperatorVerb.messageColumns))
            }
            if self.screen.hasFailed { return 1 }
            after =
                messages.last?["id"]?.stringValue.flatMap { Int($0) } ?? after ?? document["head"]?
                .integerValue ?? 0
            if messages.isEmpty { Self.waitBeforeNextRequest() }
        }
    }

    /// Prints new rows of a table until it is interrupted.
    private func follow() throws(AdminProblem) -> Int32 {
        guard case .table(let key, let columns, _, _) = self.options.verb.display,
            let path = self.options.verb.path
        else { preconditionFailure("only tables can be followed") }
        let selection = self.options.parameters.filter { $0.name != "last" }
        var after: String?
        while true {
            let page: [JSONTree.ObjectMember] =
                after.map { [.init("last", 1000), .init("after", .string($0))] }
                ?? self.options.parameters.filter { $0.name == "last" }
            let rows = try self.source.get(path, selection + page)[key]?.elements ?? []
            for row in rows { self.screen.write(self.line(of: row, columns)) }
            if self.screen.hasFailed { return 1 }
            after = rows.last?["id"]?.stringValue ?? after ?? "0"
            if rows.count < 1000 { Self.waitBeforeNextRequest() }
        }
    }

    private func line(of row: JSONTree, _ columns: [OperatorColumn]) -> String {
        func word(_ key: String) -> String { Formatting.escaped(row[key]?.stringValue ?? "-") }
        switch self.options.output {
        case .json: return row.text + "\n"
        case .csv:
            return RowTable(columns, [row]).csv(hasHeader: false)
        case .table where self.options.verb.name == "tail":
            let reply =
                row["reply_to"]?.stringValue.map { " (reply to \(Formatting.escaped($0)))" } ?? ""
            return "\(word("id"))  \(word("timestamp"))  \(word("sender_id"))\(reply): "
                + "\(word("content"))\n"
        case .table:
            let detail = row["detail"]?.stringValue.map { ": \(Formatting.escaped($0))" } ?? ""
            return "\(word("timestamp"))  \(word("node"))  \(word("event"))\(detail)\n"
        }
    }

    /// Prints a sentence in the requested format.
    func printSummary(_ message: String, dryRun: Bool) -> Int32 {
        switch self.options.output {
        case .table, .csv: self.screen.write(Formatting.escaped(message) + "\n")
        case .json:
            let document: JSONTree = [
                "schema_version": 1, "dry_run": .bool(dryRun), "summary": .string(message),
            ]
            self.screen.write(document.text + "\n")
        }
        return 0
    }
}

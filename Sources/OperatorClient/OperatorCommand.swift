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
    let connection: AdminConnection
    /// A node, or Redis.
    private let source: any AdminSource

    /// - Returns: the exit status.
    public static func run(_ options: OperatorOptions, environment: [String: String]) -> Int32 {
        let screen = Screen(
            environment: environment, isTable: options.output == .table,
            isRedrawn: options.watch != nil)
        do throws(StartProblem) {
            let connection = AdminConnection(options.url, token: try Self.token(options.tokenFile))
            let desk = try options.via.map { url throws(StartProblem) in
                try Self.redisSource(url, options)
            }
            return Self(
                options: options, screen: screen, connection: connection, source: desk ?? connection
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
        guard let pause = self.options.watch else { return self.runOnce() }
        while true {
            let status = self.runOnce()
            let rhythm = "every \(Formatting.decimal(pause / .seconds(1))) s"
            self.screen.drawFrame(
                under:
                    """
                    confab \(self.options.verb.rawValue)   \(rhythm)   \(Self.now.text)   Ctrl-C \
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
            switch self.options.verb {
            case .status: return try self.showStatus()
            case .nodes:
                return try self.showRows(
                    "nodes", RowTable.Column.nodes, hasTotals: true, self.source.nodes)
            case .shards:
                return try self.showRows("shards", RowTable.Column.shards, hasTotals: true) {
                    () throws(AdminProblem) in
                    try self.source.shards(of: self.options.node)
                }
            case .redis: return try self.showRows("redis", RowTable.Column.redis, self.source.redis)
            case .history:
                return try self.showRows("messages", RowTable.Column.messages) {
                    () throws(AdminProblem) in
                    try self.connection.get(self.historyPath)
                }
            case .owner:
                return self.showRecord(
                    RowTable.Column.owner, try self.source.owner(of: self.conversation))
            case .verify: return try self.verify()
            case .tail: return try self.tail()
            case .events:
                return self.options.follows
                    ? try self.followEvents()
                    : try self.showRows("events", RowTable.Column.events) {
                        () throws(AdminProblem) in
                        try self.connection.get("events?last=\(self.options.last ?? 20)")
                    }
            case .send: return try self.send()
            case .drain: return try self.drain()
            case .resume: return try self.resume()
            }
        } catch {
            self.screen.printError("confab: \(error.message)")
            return error.exitStatus
        }
    }

    // MARK: Paths

    private var conversation: ConversationKey {
        ConversationKey(
            tenant: ByteString(self.options.tenant), id: ByteString(self.options.conversation))
    }

    var conversationQuery: String { AdminPath.query(self.conversation) }

    private var historyPath: String {
        let limit = self.options.after == nil ? self.options.last ?? 20 : self.options.limit ?? 1000
        return "history\(self.conversationQuery)&last=\(min(limit, 1000))"
            + (self.options.after.map { "&after=\($0)" } ?? "")
    }

    // MARK: Display

    /// Displays a document whose rows are under `key`.
    private func showRows(
        _ key: String, _ columns: [RowTable.Column], hasTotals: Bool = false,
        _ ask: () throws(AdminProblem) -> JSONTree
    ) throws(AdminProblem) -> Int32 {
        var order: (key: String, isDescending: Bool)?
        if let name = self.options.sort {
            guard let found = RowTable.sortOrder(name, among: columns) else {
                let names = columns.map(\.title).joined(separator: ", ")
                self.screen.printError(
                    """
                    confab: --sort: \"\(Formatting.escaped(name))\" is not a column of \
                    \(self.options.verb.rawValue): \(names)
                    """
                )
                return UsageError.exitStatus
            }
            order = found
        }
        let document = try ask()
        let all = document[key]?.elements ?? []
        // Columns without any value are left out.
        let visible = columns.filter { column in
            column.importance == .max || all.contains { !($0[column.key] ?? .null).isNull }
        }
        var sheet = RowTable(self.options.output == .csv ? columns : visible, all)
        if let order { sheet.sort(by: order.key, isDescending: order.isDescending) }
        if let limit = self.options.limit { sheet.limit(to: limit) }
        switch self.options.output {
        case .table: self.screen.show(sheet.table(totalsOf: hasTotals ? all : nil))
        case .csv: self.screen.write(sheet.csv())
        case .json:
            self.screen.write(self.replacing(key, in: document, with: sheet.rows).text + "\n")
        }
        return self.screen.showMissingNodes(of: document)
    }

    private func replacing(_ key: String, in document: JSONTree, with rows: [JSONTree]) -> JSONTree
    {
        .object(
            (document.members ?? []).map {
                $0.name == key ? JSONTree.ObjectMember(key, .array(rows)) : $0
            })
    }

    private func showRecord(_ columns: [RowTable.Column], _ document: JSONTree) -> Int32 {
        let sheet = RowTable(columns, [document])
        switch self.options.output {
        case .table: self.screen.write(sheet.record())
        case .csv: self.screen.write(sheet.csv())
        case .json: self.screen.write(document.text + "\n")
        }
        return self.screen.showMissingNodes(of: document)
    }

    private func showStatus() throws(AdminProblem) -> Int32 {
        let document = try self.connection.get("status")
        guard self.options.output == .table else {
            return self.showRecord(RowTable.Column.status, document)
        }
        self.screen.write(
            RowTable(RowTable.Column.status.filter { $0.key != "problems" }, [document]).record())
        let problems = (document["problems"]?.elements ?? []).compactMap(\.stringValue)
        self.screen.write(
            "\n"
                + (problems.isEmpty
                    ? "No problems.\n" : problems.map { "! \(Formatting.escaped($0))\n" }.joined()))
        return self.screen.showMissingNodes(of: document)
    }

    private func verify() throws(AdminProblem) -> Int32 {
        let document = try self.connection.get("verify" + self.conversationQuery)
        guard self.options.output == .table else {
            let status = self.showRecord(RowTable.Column.verification, document)
            return document["whole"]?.boolValue == true ? status : 1
        }
        self.screen.write(
            RowTable(RowTable.Column.verification.filter { $0.key != "faults" }, [document])
                .record())
        let faults = (document["faults"]?.elements ?? []).compactMap(\.stringValue)
        self.screen.write(
            "\n"
                + (faults.isEmpty
                    ? "The stream is complete.\n"
                    : faults.map { "! \(Formatting.escaped($0))\n" }.joined()))
        let status = self.screen.showMissingNodes(of: document)
        return document["whole"]?.boolValue == true ? status : 1
    }

    // MARK: Messages

    /// Prints new messages until it is interrupted.
    private func tail() throws(AdminProblem) -> Int32 {
        let path = "history" + self.conversationQuery
        var after = self.options.after
        while true {
            let document = try self.connection.get(
                path + (after.map { "&last=100&after=\($0)" } ?? "&last=1"))
            let messages = after == nil ? [] : document["messages"]?.elements ?? []
            for message in messages {
                self.screen.write(self.line(of: message, RowTable.Column.messages))
            }
            if self.screen.hasFailed { return 1 }
            after =
                messages.last?["id"]?.stringValue.flatMap { Int($0) } ?? after ?? document["head"]?
                .integerValue ?? 0
            if messages.count < 100 { Self.waitBeforeNextRequest() }
        }
    }

    /// Prints events until it is interrupted.
    private func followEvents() throws(AdminProblem) -> Int32 {
        var after: String?
        while true {
            let query =
                after.map { "last=1000&after=\(AdminPath.encode($0))" }
                ?? "last=\(self.options.last ?? 20)"
            let events = try self.connection.get("events?\(query)")["events"]?.elements ?? []
            for event in events { self.screen.write(self.line(of: event, RowTable.Column.events)) }
            if self.screen.hasFailed { return 1 }
            after = events.last?["id"]?.stringValue ?? after ?? "0"
            if events.count < 1000 { Self.waitBeforeNextRequest() }
        }
    }

    private func line(of row: JSONTree, _ columns: [RowTable.Column]) -> String {
        func word(_ key: String) -> String { Formatting.escaped(row[key]?.stringValue ?? "-") }
        switch self.options.output {
        case .json: return row.text + "\n"
        case .csv:
            return RowTable(columns, [row]).csv().split(separator: "\n", maxSplits: 1).dropFirst()
                .joined()
        case .table where self.options.verb == .tail:
            return "\(word("id"))  \(word("timestamp"))  \(word("sender_id")): \(word("content"))\n"
        case .table:
            let detail = row["detail"]?.stringValue.map { ": \(Formatting.escaped($0))" } ?? ""
            return "\(word("timestamp"))  \(word("node"))  \(word("event"))\(detail)\n"
        }
    }

    private func send() throws(AdminProblem) -> Int32 {
        let place = "\(self.options.conversation) of tenant \(self.options.tenant)"
        if self.options.isDryRun {
            _ = try self.connection.get("owner" + self.conversationQuery)
            return self.printSummary(
                "would send it to \(place), as \(self.options.user)", dryRun: true)
        }
        guard
            self.screen.confirms(
                "Send it to \(place), as \(self.options.user)?",
                isConfirmed: self.options.isConfirmed)
        else { return 1 }
        let document = try self.connection.post(
            "send",
            [
                "conversation": .string(self.options.conversation),
                "tenant": .string(self.options.tenant),
                "user": .string(self.options.user), "content": .string(self.options.text),
            ])
        guard self.options.output == .table else {
            let sheet = RowTable(RowTable.Column.messages, document["messages"]?.elements ?? [])
            self.screen.write(self.options.output == .csv ? sheet.csv() : document.text + "\n")
            return 0
        }
        self.screen.write(
            """
            message \(document["messages"]?.elements?.first?["id"]?.stringValue ?? "?") of \
            \(self.options.conversation)\n
            """
        )
        return 0
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

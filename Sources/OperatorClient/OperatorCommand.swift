internal import Bytes
internal import ChatModel
public import Configuration
import Glibc
import JSON
internal import NodeLink
internal import RedisClient

/// `confab nodes` and its like: asks one node, which asks the others, and shows what they say.
public struct OperatorCommand {
    let options: OperatorOptions
    let screen: Screen
    let connection: AdminConnection
    /// The node, or Redis itself.
    private let desk: any Desk

    /// - Returns: the exit status.
    public static func run(_ options: OperatorOptions, environment: [String: String]) -> Int32 {
        let screen = Screen(environment: environment, isTable: options.output == .table, isRedrawn: options.watch != nil)
        do throws(StartProblem) {
            let connection = AdminConnection(options.url, token: try Self.token(options.tokenFile))
            let desk = try options.via.map { url throws(StartProblem) in try Self.desk(url, options) }
            return Self(options: options, screen: screen, connection: connection, desk: desk ?? connection).run()
        } catch {
            screen.complain("confab: \(error.sentence)")
            return UsageError.exitStatus
        }
    }

    private static func desk(_ url: RedisURL, _ options: OperatorOptions) throws(StartProblem) -> any Desk {
        do {
            return KeptDesk(try ClusterReader(url, trusting: options.redisCAFile, clusterName: options.clusterName))
        } catch {
            throw StartProblem(sentence: "--via: \(error)")
        }
    }

    private struct StartProblem: Error {
        let sentence: String
    }

    private static func token(_ path: String?) throws(StartProblem) -> String? {
        guard let path else { return nil }
        do throws(FileProblem) {
            var token = try FileProblem.read(path)
            if token.last == UInt8(ascii: "\n") { token.removeLast() }
            guard !token.isEmpty, token.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw FileProblem("holds no token on one line") }
            return String(decoding: token, as: UTF8.self)
        } catch {
            throw StartProblem(sentence: "--admin-token-file: \(path): \(error)")
        }
    }

    private func run() -> Int32 {
        guard let pause = self.options.watch else { return self.runOnce() }
        while true {
            let status = self.runOnce()
            let rhythm = "every \(Wording.decimal(pause / .seconds(1))) s"
            self.screen.turnPage(under: "confab \(self.options.verb.rawValue)   \(rhythm)   \(Self.now.text)   Ctrl-C ends it")
            // Whoever does not answer may do so next time; what was asked wrongly stays wrong.
            if status == UsageError.exitStatus || self.screen.hasFailed { return status }
            poll(nil, 0, Int32(pause / .milliseconds(1)))
        }
    }

    private static var now: Timestamp { Timestamp(milliseconds: Int64(time(nil)) * 1000) }

    private func runOnce() -> Int32 {
        do throws(AdminProblem) {
            switch self.options.verb {
            case .status: return try self.showStatus()
            case .nodes: return try self.showRows("nodes", Sheet.Column.nodes, hasTotals: true, self.desk.nodes)
            case .shards:
                return try self.showRows("shards", Sheet.Column.shards, hasTotals: true) { () throws(AdminProblem) in
                    try self.desk.shards(of: self.options.node)
                }
            case .redis: return try self.showRows("redis", Sheet.Column.redis, self.desk.redis)
            case .history:
                return try self.showRows("messages", Sheet.Column.messages) { () throws(AdminProblem) in
                    try self.connection.get(self.historyPath)
                }
            case .owner:
                return self.showRecord(Sheet.Column.owner, try self.desk.owner(of: self.conversation))
            case .verify: return try self.verify()
            case .tail: return try self.tail()
            case .events:
                return self.options.follows
                    ? try self.followEvents()
                    : try self.showRows("events", Sheet.Column.events) { () throws(AdminProblem) in
                        try self.connection.get("events?last=\(self.options.last ?? 20)")
                    }
            case .send: return try self.send()
            case .drain: return try self.drain()
            case .resume: return try self.resume()
            }
        } catch {
            self.screen.complain("confab: \(error.sentence)")
            return error.exitStatus
        }
    }

    // MARK: Paths

    private var conversation: ConversationKey {
        ConversationKey(tenant: ByteString(self.options.tenant), id: ByteString(self.options.conversation))
    }

    var conversationQuery: String { AdminPath.query(self.conversation) }

    private var historyPath: String {
        let limit = self.options.after == nil ? self.options.last ?? 20 : self.options.limit ?? 1000
        return "history\(self.conversationQuery)&last=\(min(limit, 1000))" + (self.options.after.map { "&after=\($0)" } ?? "")
    }

    // MARK: Showing

    /// A document whose rows are under `key`.
    private func showRows(
        _ key: String, _ columns: [Sheet.Column], hasTotals: Bool = false, _ ask: () throws(AdminProblem) -> JSONTree
    ) throws(AdminProblem) -> Int32 {
        var order: (key: String, isFalling: Bool)?
        if let name = self.options.sort {
            guard let found = Sheet.order(name, among: columns) else {
                let names = columns.map(\.title).joined(separator: ", ")
                self.screen.complain("confab: --sort: \"\(Wording.shown(name))\" is no column of \(self.options.verb.rawValue): \(names)")
                return UsageError.exitStatus
            }
            order = found
        }
        let document = try ask()
        let all = document[key]?.elements ?? []
        // A column that no row has anything to say in says nothing.
        let shown = columns.filter { column in column.importance == .max || all.contains { !($0[column.key] ?? .null).isNull } }
        var sheet = Sheet(self.options.output == .csv ? columns : shown, all)
        if let order { sheet.sort(by: order.key, isFalling: order.isFalling) }
        if let limit = self.options.limit { sheet.limit(to: limit) }
        switch self.options.output {
        case .table: self.screen.show(sheet.table(totalsOf: hasTotals ? all : nil))
        case .csv: self.screen.write(sheet.csv())
        case .json: self.screen.write(self.replacing(key, in: document, with: sheet.rows).text + "\n")
        }
        return self.screen.footer(of: document)
    }

    private func replacing(_ key: String, in document: JSONTree, with rows: [JSONTree]) -> JSONTree {
        .object((document.members ?? []).map { $0.name == key ? JSONTree.Member(key, .array(rows)) : $0 })
    }

    private func showRecord(_ columns: [Sheet.Column], _ document: JSONTree) -> Int32 {
        let sheet = Sheet(columns, [document])
        switch self.options.output {
        case .table: self.screen.write(sheet.record())
        case .csv: self.screen.write(sheet.csv())
        case .json: self.screen.write(document.text + "\n")
        }
        return self.screen.footer(of: document)
    }

    private func showStatus() throws(AdminProblem) -> Int32 {
        let document = try self.connection.get("status")
        guard self.options.output == .table else { return self.showRecord(Sheet.Column.status, document) }
        self.screen.write(Sheet(Sheet.Column.status.filter { $0.key != "problems" }, [document]).record())
        let problems = (document["problems"]?.elements ?? []).compactMap(\.stringValue)
        self.screen.write("\n" + (problems.isEmpty ? "All is well.\n" : problems.map { "! \(Wording.shown($0))\n" }.joined()))
        return self.screen.footer(of: document)
    }

    private func verify() throws(AdminProblem) -> Int32 {
        let document = try self.connection.get("verify" + self.conversationQuery)
        guard self.options.output == .table else {
            let status = self.showRecord(Sheet.Column.verification, document)
            return document["whole"]?.boolValue == true ? status : 1
        }
        self.screen.write(Sheet(Sheet.Column.verification.filter { $0.key != "faults" }, [document]).record())
        let faults = (document["faults"]?.elements ?? []).compactMap(\.stringValue)
        self.screen.write("\n" + (faults.isEmpty ? "The stream is whole.\n" : faults.map { "! \(Wording.shown($0))\n" }.joined()))
        let status = self.screen.footer(of: document)
        return document["whole"]?.boolValue == true ? status : 1
    }

    // MARK: Messages

    /// Until it is ended.
    private func tail() throws(AdminProblem) -> Int32 {
        let path = "history" + self.conversationQuery
        var after = self.options.after
        while true {
            let document = try self.connection.get(path + (after.map { "&last=100&after=\($0)" } ?? "&last=1"))
            let messages = after == nil ? [] : document["messages"]?.elements ?? []
            for message in messages { self.screen.write(self.line(of: message, Sheet.Column.messages)) }
            if self.screen.hasFailed { return 1 }
            after = messages.last?["id"]?.stringValue.flatMap { Int($0) } ?? after ?? document["head"]?.integerValue ?? 0
            if messages.count < 100 { poll(nil, 0, 500) }
        }
    }

    /// As they happen, until it is ended.
    private func followEvents() throws(AdminProblem) -> Int32 {
        var after: String?
        while true {
            let query = after.map { "last=1000&after=\(AdminPath.encode($0))" } ?? "last=\(self.options.last ?? 20)"
            let events = try self.connection.get("events?\(query)")["events"]?.elements ?? []
            for event in events { self.screen.write(self.line(of: event, Sheet.Column.events)) }
            if self.screen.hasFailed { return 1 }
            after = events.last?["id"]?.stringValue ?? after ?? "0"
            if events.count < 1000 { poll(nil, 0, 500) }
        }
    }

    private func line(of row: JSONTree, _ columns: [Sheet.Column]) -> String {
        func word(_ key: String) -> String { Wording.shown(row[key]?.stringValue ?? "-") }
        switch self.options.output {
        case .json: return row.text + "\n"
        case .csv: return Sheet(columns, [row]).csv().split(separator: "\n", maxSplits: 1).dropFirst().joined()
        case .table where self.options.verb == .tail:
            return "\(word("id"))  \(word("timestamp"))  \(word("sender_id")): \(word("content"))\n"
        case .table:
            let detail = row["detail"]?.stringValue.map { ": \(Wording.shown($0))" } ?? ""
            return "\(word("timestamp"))  \(word("node"))  \(word("event"))\(detail)\n"
        }
    }

    private func send() throws(AdminProblem) -> Int32 {
        let place = "\(self.options.conversation) of tenant \(self.options.tenant)"
        if self.options.isDryRun {
            _ = try self.connection.get("owner" + self.conversationQuery)
            return self.tell("would say it in \(place), as \(self.options.user)", dryRun: true)
        }
        guard self.screen.confirms("Say it in \(place), as \(self.options.user)?", isSure: self.options.isSure) else { return 1 }
        let document = try self.connection.post(
            "send",
            [
                "conversation": .string(self.options.conversation), "tenant": .string(self.options.tenant),
                "user": .string(self.options.user), "content": .string(self.options.text),
            ])
        guard self.options.output == .table else {
            let sheet = Sheet(Sheet.Column.messages, document["messages"]?.elements ?? [])
            self.screen.write(self.options.output == .csv ? sheet.csv() : document.text + "\n")
            return 0
        }
        self.screen.write("message \(document["messages"]?.elements?.first?["id"]?.stringValue ?? "?") of \(self.options.conversation)\n")
        return 0
    }

    /// A sentence as the output that was asked for.
    func tell(_ sentence: String, dryRun: Bool) -> Int32 {
        switch self.options.output {
        case .table, .csv: self.screen.write(Wording.shown(sentence) + "\n")
        case .json:
            let document: JSONTree = ["schema_version": 1, "dry_run": .bool(dryRun), "summary": .string(sentence)]
            self.screen.write(document.text + "\n")
        }
        return 0
    }
}

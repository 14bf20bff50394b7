import Bytes
import ChatModel
public import EmbeddedStore
import Glibc
public import NodeLink
import RedisClient
import RedisStore

/// Copies everything that clients see from a SQLite database into a cluster in Redis: conversations
/// with their members, cursors and messages, bans, and the numbers of users.
///
/// Numbers and revisions stay the same, so that clients resume as if nothing had happened. A
/// conversation appears in Redis only when it is complete. So a second run after an interruption
/// leaves out what is there, and begins the others again.
public struct DatabaseCopy {
    /// The most commands that are sent before their replies are awaited.
    private static let pipelineLimit = 10_000

    private let path: String
    private let source: CopySource
    private let target: CopyTarget
    private let commands: RestoreCommands
    private let report: (CopySummary) -> Void

    /// - Parameters:
    ///   - path: the path of the database, as the target remembers it.
    ///   - clusterName: the name of the target's cluster.
    ///   - report: called after each conversation.
    /// - Throws: `CopyFailure` if there is no such database.
    public init(
        from store: SQLiteStore, at path: String, to target: CopyTarget, clusterName: String,
        report: @escaping (CopySummary) -> Void
    ) throws(CopyFailure) {
        self.path = try Self.absolutePath(path)
        self.source = CopySource(store)
        self.target = target
        self.commands = RestoreCommands(of: clusterName)
        self.report = report
    }

    /// Opens the database. The failure names it.
    ///
    /// - Parameter history: how many messages of each conversation are copied; the older ones are
    ///   left out.
    public static func open(_ path: String, history: Int) throws(CopyFailure) -> SQLiteStore {
        _ = try self.absolutePath(path)
        do throws(StoreFailure) {
            return try SQLiteStore(path: path, options: SQLiteOptions(history: history))
        } catch {
            throw CopyFailure(error)
        }
    }

    private static func absolutePath(_ path: String) throws(CopyFailure) -> String {
        guard let resolved = realpath(path, nil) else {
            throw CopyFailure("--from: \(path): \(String(cString: strerror(errno)))")
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Copies everything, or continues an incomplete copy.
    ///
    /// - Parameter isDryRun: checks and counts, and writes nothing.
    public func run(isDryRun: Bool) throws(CopyFailure) -> CopySummary {
        do {
            if isDryRun {
                _ = try self.target.check(for: self.path)
                return try self.copy(isDryRun: true)
            }
            _ = try self.target.reserve(for: self.path)
            do {
                let summary = try self.copy(isDryRun: false)
                try self.target.complete()
                return summary
            } catch {
                let failure = CopyFailure(error)
                // Otherwise the next run waits until the lock expires.
                if !failure.isUnanswered { try? self.target.unlock() }
                throw failure
            }
        } catch {
            throw CopyFailure(error)
        }
    }

    private func copy(isDryRun: Bool) throws -> CopySummary {
        var summary = CopySummary()
        for list in try self.source.numbers() {
            if !isDryRun { try self.copy(list) }
            summary.userNumbers += list.users.count
        }
        for ban in try self.source.bans() {
            if !isDryRun, try self.target.write([self.commands.write(ban)])[0].number == 0 {
                throw CopyFailure(StoreRequest.tooManyBans)
            }
            summary.bans += 1
        }
        summary.leavesEvents = try self.source.hasUndeliveredEvents()
        let keys = try self.source.keys()
        summary.total = keys.count
        for key in keys {
            let conversation = try self.source.conversation(key)
            if !isDryRun, try self.isCopied(key, conversation) {
                summary.earlierConversations += 1
            } else if !isDryRun {
                try self.copy(key, conversation)
            }
            summary.conversations += 1
            summary.members += conversation.currentMembers.count
            summary.messages += conversation.head - conversation.oldest + 1
            self.report(summary)
        }
        return summary
    }

    private func copy(_ list: TenantNumberList) throws {
        var rest = list.users[...]
        repeat {
            let command = self.commands.write(
                rest.prefix(500), of: list.tenant, highest: list.users.last?.number,
                counter: list.counter)
            if let user = try self.target.write([command])[0].text, !user.isEmpty {
                let name = UserID(storageKey: ByteString(user)).displayID
                throw CopyFailure(
                    "--to: user \(name) of tenant \(list.tenant) already has another number")
            }
            rest = rest.dropFirst(500)
        } while !rest.isEmpty
    }

    /// Whether the target has the conversation, with the same content.
    private func isCopied(_ key: ConversationKey, _ conversation: LoadedConversation) throws -> Bool
    {
        let state = try self.target.write([self.commands.state(of: key)])[0].text
        guard let state else { return false }
        guard state == RestoreCommands.state(conversation) else {
            throw CopyFailure(
                """
                --from: \(key) has changed since the copy began: delete the cluster's keys in \
                Redis, and begin again
                """)
        }
        return true
    }

    private func copy(_ key: ConversationKey, _ conversation: LoadedConversation) throws {
        var entries = self.commands.indexEntries(of: key, conversation, at: WallClock.now)[...]
        while !entries.isEmpty {
            _ = try self.target.write(Array(entries.prefix(Self.pipelineLimit)))
            entries = entries.dropFirst(Self.pipelineLimit)
        }
        var parts = ConversationParts(conversation)
        while !parts.isComplete {
            var messages: [Message] = []
            if let number = parts.needsMessages {
                messages = try self.source.messages(
                    of: key, after: number, limit: ConversationParts.messageLimit)
                guard !messages.isEmpty else {
                    throw CopyFailure("--from: \(key) lacks message \(number + 1)")
                }
            }
            let command = self.commands.write(parts.next(messages), of: key)
            let outcome = try self.target.write([command])[0].text
            guard outcome == "done" else {
                throw CopyFailure("--to: another process has written \(key)")
            }
        }
    }
}

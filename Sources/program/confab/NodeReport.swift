import AdminAPI
import Bytes
import ChatModel
import Configuration
import Gateway
import Identity
import JSON
import StoreKit
import Synchronization
import TLS
import Telemetry

/// The facts about a node's settings and files, for `confab doctor` and `confab support`.
final class NodeReport: Sendable {
    private let options: ServeOptions
    private let store: any NodeStore
    private let metrics: @Sendable () -> MetricsSnapshot
    private let logger: Logger
    /// The expiry of the certificate that the node presents to clients.
    private let certificateExpiry: Mutex<Timestamp?>

    init(
        _ options: ServeOptions, _ store: any NodeStore, live: LiveSettings,
        metrics: @escaping @Sendable () -> MetricsSnapshot, logger: Logger
    ) {
        self.options = options
        self.store = store
        self.metrics = metrics
        self.logger = logger
        self.certificateExpiry = Mutex(live.tls?.certificateExpiry)
    }

    /// The node has loaded its settings again.
    func settingsReloaded(_ live: LiveSettings) {
        self.certificateExpiry.withLock { $0 = live.tls?.certificateExpiry }
    }

    var inspection: NodeInspection {
        NodeInspection(facts: { await self.facts() }, supportFiles: { self.supportFiles() })
    }

    private func facts() async -> [JSONTree.ObjectMember] {
        var facts: [JSONTree.ObjectMember] = [
            .init("settings", self.settingFacts()),
            .init("connection_limit", .integer(self.options.limits.connections)),
        ]
        if let database = await self.store.databaseFacts() {
            facts.append(.init("database", database))
        }
        return facts
    }

    private func settingFacts() -> JSONTree {
        let keys = NodeKeys(self.options)
        var keyProblem: String?
        var fileExpiry: Timestamp?
        do throws(NodeKeys.KeyProblem) {
            fileExpiry = try keys.load().tls?.certificateExpiry
        } catch {
            keyProblem = error.description
        }
        func time(_ timestamp: Timestamp?) -> JSONTree {
            timestamp.map { .integer($0.milliseconds) } ?? .null
        }
        return [
            "listen": .string(self.options.listen.description),
            "is_listen_public": .bool(!self.options.listen.isLoopback),
            "anonymous": .bool(self.options.anonymous),
            "admin": self.options.admin.map { .string($0.description) } ?? .null,
            "is_admin_public": .bool(self.options.admin?.isLoopback == false),
            "has_admin_token": .bool(
                self.options.adminTokenFile != nil || self.options.requiresAdminToken),
            "skipped_keys": .array(keys.files.skippedKeys.map { .string($0) }),
            "exposed_secrets": .array(keys.exposedSecrets.map { .string($0) }),
            "weak_admin_tokens": .array(keys.weakAdminTokens.map { .string($0) }),
            "certificate_expiry": time(self.certificateExpiry.withLock { $0 }),
            "certificate_file_expiry": time(fileExpiry),
            "key_expiry": time(keys.files.certificateExpiry),
            "key_problem": keyProblem.map { .string($0) } ?? .null,
        ]
    }

    /// Settings name files and no secrets; passwords in URLs are hidden. The log contains ids and
    /// addresses, and no contents of messages, tokens or secrets.
    private func supportFiles() -> [(name: String, text: String)] {
        var page = ByteBuffer()
        self.metrics().write(to: &page)
        return [
            ("configuration.txt", self.options.report(.text)), ("metrics.txt", page.text),
            ("log.txt", self.logger.recentLines.map { $0 + "\n" }.joined()),
        ]
    }
}

import AdminAPI
import Bytes
import ChatModel
import ClusterWire
import Configuration
import DialectKit
import Dialects
import EventLoop
import Gateway
import Glibc
import Identity
import Pages
import RoomsAPI
import StoreKit
import Stores
import Synchronization
import Telemetry
import Webhooks

/// `confab serve`: runs a node.
enum ServeCommand {
    static func run(_ options: ServeOptions) async -> Int32 {
        let capture = options.logFormat == .json ? StandardErrorCapture() : nil
        let logger = Logger(
            level: options.logLevel, format: options.logFormat,
            writer: LogWriter(descriptor: capture?.destination ?? STDERR_FILENO))
        capture?.start(logger)
        defer {
            capture?.stop()
            _ = logger.flush()
        }
        for warning in options.warnings {
            logger.warning("configuration warning", ["reason": .text(warning)])
        }
        ProcessSetup.raiseDescriptorLimit()
        do {
            let node = try RunningNode(options, logger)
            return try await node.serve()
        } catch {
            _ = logger.flush()
            if capture == nil {
                Program.fail("\(error)", as: options.logFormat)
            } else {
                logger.error("fatal", ["reason": .text("\(error)")])
            }
            // An unusable key file counts as an invalid value.
            return error is NodeKeys.KeyProblem ? UsageError.exitStatus : 1
        }
    }
}

/// A running node.
struct RunningNode {
    private let options: ServeOptions
    private let logger: Logger
    private let initialKeySet: FileFingerprint?
    private let store: any NodeStore
    private let gateway: Gateway
    private let name: String
    private let admin: ClusterAdmin
    private let report: NodeReport
    private let service: ServiceReporter
    private let webhooks: WebhookService?
    private let stops = StopRequests()

    /// Counts the signals that end the node. A stream would not do: it finishes when its consumer
    /// is cancelled.
    private final class StopRequests: Sendable {
        private let count = Atomic(0)
        private let change = TaskCondition()

        func add() {
            self.count.wrappingAdd(1, ordering: .relaxed)
            self.change.notify()
        }

        /// - Returns: false if the task was cancelled first.
        func wait(for number: Int) async -> Bool {
            await self.change.wait { self.count.load(ordering: .relaxed) >= number }
        }
    }

    init(_ options: ServeOptions, _ logger: Logger) throws {
        self.options = options
        self.logger = logger
        let keys = NodeKeys(options)
        // Before the database and the secret, so that a start that fails on a key file creates
        // neither.
        if options.adminTokenFile != nil { _ = try keys.adminTokens() }
        if options.clusterKeyFile != nil { _ = try keys.dialectSecret() }
        // Before the key set is read, so that no change after that is missed.
        self.initialKeySet = keys.files.keySetFingerprint
        let configured = keys.hasConfiguredKeys ? try keys.load() : nil
        if configured == nil { try keys.checkCertificate() }
        if options.anonymous { Self.logAnonymous(options.listen, logger) }
        self.name = options.nodeID ?? Self.generatedName()
        let incarnation = UInt64.random(in: 1...UInt64.max)
        let webhooks = try WebhookService.make(options, incarnation: incarnation, logger)
        self.webhooks = webhooks
        let store = try StoreList.all.open(
            StoreSettings(
                options, name: self.name, incarnation: incarnation, outbox: webhooks?.outbox,
                logger: logger, clusterKey: { try keys.clusterKey() }))
        self.store = store
        var newPaths: [String] = []
        do {
            // While the database is locked, so that of two nodes started at once each creates its
            // own secret.
            for make in [keys.makeSecret, keys.makeWebhookSecret, keys.makeAdminToken] {
                guard let path = try make() else { continue }
                newPaths.append(path)
                logger.info("secret created", ["file": .text(path)])
            }
            keys.logWarnings(to: logger)
            let signature = try keys.webhookSignature()
            let live = try configured ?? keys.load()
            let metrics: @Sendable () -> MetricsSnapshot
            (self.gateway, self.admin, metrics) = try Self.gateway(
                options, keys, live, store, webhooks, self.name, incarnation, logger)
            self.report = NodeReport(
                options, store, live: live, metrics: metrics, logger: logger)
            self.admin.attach(self.report.inspection)
            self.service = ServiceReporter(self.gateway, logger)
            if let webhooks, let signature { store.start(webhooks, signing: signature) }
        } catch {
            // A failed start leaves no files behind, so that the next one does not find a database
            // and a secret of unknown origin.
            for path in newPaths { unlink(path) }
            store.discard()
            throw error
        }
    }

    private static func gateway(
        _ options: ServeOptions, _ keys: NodeKeys, _ live: LiveSettings, _ store: any NodeStore,
        _ webhooks: WebhookService?, _ name: String, _ incarnation: UInt64, _ logger: Logger
    ) throws -> (Gateway, ClusterAdmin, @Sendable () -> MetricsSnapshot) {
        // One core is left for the kernel's network work and for the store's threads. On two cores,
        // two loops cost a sixth more CPU per message than one.
        let loopCount = options.loops ?? max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)) - 1)
        let board = PublishedMetrics(loopCount: loopCount)
        let clusterAdmin = ClusterAdmin(
            record: NodeRecord(
                incarnation: incarnation, name: name, address: options.listen.description,
                host: ProcessContext.hostname, version: Program.version, loops: loopCount,
                startedAt: WallClock.now),
            clusterName: options.clusterName, store: options.store.kind,
            waitReplicas: store.waitReplicas,
            drain: options.drain, logger: logger,
            creation: ConversationCreation(
                joinPolicy: options.defaultAccess.joinPolicy,
                publicURL: options.publicURL?.description, makeID: RoomID.random),
            webhooks: webhooks)
        let metrics: @Sendable () -> MetricsSnapshot = {
            var snapshot = board.total()
            store.add(to: &snapshot)
            clusterAdmin.add(to: &snapshot)
            webhooks?.summary.add(to: &snapshot)
            ProcessStatistics()?.add(to: &snapshot)
            return snapshot
        }
        let endpoints = AdminEndpoints(
            isLoopback: options.admin?.isLoopback ?? true, tokens: try keys.adminTokens(),
            tokenFile: keys.createdAdminTokenFile, admin: clusterAdmin,
            page: OperatorPage().response(to:), snapshot: metrics)
        var settings = GatewaySettings(
            nodeName: name, incarnation: incarnation, version: Program.version,
            loopCount: loopCount, clientHost: options.listen.host, clientPort: options.listen.port,
            adminHost: options.admin?.host,
            adminPort: options.admin?.port ?? 0, dialects: try Self.dialects(options, keys),
            trustedProxies: options.trustedProxies, echoPath: options.echoPath)
        settings.publicURL = options.publicURL
        settings.awaitsStart = true
        settings.usesSendRing = options.ioUring
        settings.allowsAnonymous = options.anonymous
        settings.presenceObserver = webhooks?.presenceObserver(options)
        let rooms = RoomsAPI(
            guestKey: try keys.guestKey(), defaultAccess: options.defaultAccess.joinPolicy)
        let gateway = try Gateway(
            settings, live: live, logger: logger, board: board, admin: endpoints,
            routes: rooms.routes + Pages().routes
        ) { store.chatStore(on: $0, $1) }
        rooms.open(gateway)
        clusterAdmin.attach(gateway)
        clusterAdmin.attach(NodeSetting.all(of: options))
        return (gateway, clusterAdmin, metrics)
    }

    /// Warns about anonymous users, with their abilities if other machines reach the listener.
    private static func logAnonymous(_ listen: ListenAddress, _ logger: Logger) {
        func unlessLoopback(_ text: String) -> LogValue {
            .optional(listen.isLoopback ? nil : text)
        }
        logger.warning(
            "anonymous connections allowed; --anonymous off forbids them",
            [
                "listen": unlessLoopback(listen.description),
                "strangers_may": unlessLoopback(
                    """
                    list Rooms conversations, read and join open conversations (Rooms, Chats), \
                    create conversations, send messages, end conversations that they have created
                    """),
                "strangers_may_not": unlessLoopback(
                    "broadcast, enter closed conversations, end conversations of others"),
            ])
    }

    private static func dialects(_ options: ServeOptions, _ keys: NodeKeys) throws(NodeKeys
        .KeyProblem) -> [any Dialect]
    {
        let settings = DialectSettings(
            secret: try keys.dialectSecret(), clusterName: options.clusterName,
            limits: options.limits, defaultAccess: options.defaultAccess.joinPolicy)
        return DialectList.all.map { $0.server(settings) }
    }

    private static func generatedName() -> String {
        let suffix = (0..<4).map { _ in
            String("abcdefghijklmnopqrstuvwxyz0123456789".randomElement()!)
        }.joined()
        return "\(ProcessContext.hostname)-\(suffix)"
    }

    /// Serves until a signal ends it.
    func serve() async throws -> Int32 {
        let (signals, received) = AsyncStream.makeStream(
            of: ProcessSignal.self, bufferingPolicy: .bufferingNewest(8))
        let watched: Set<ProcessSignal> = [.terminate, .interrupt, .hangUp]
        try await SignalWatcher.watch(watched, on: self.gateway.firstLoop) { signal in
            if signal != .hangUp { self.stops.add() }
            received.yield(signal)
        }
        // Before operators can change anything: a change is an event.
        if !self.options.store.kind.isShared {
            self.admin.attach(LocalEventLog.open(for: self.options.store, logger: self.logger))
        }
        let reports = Task { await self.service.reportRegularly() }
        defer { reports.cancel() }
        let isStopped = await self.wasStopped(
            by: 1,
            before: {
                await self.store.join(self.gateway, version: Program.version, admin: self.admin)
                await self.readBans()
            })
        if isStopped {
            self.service.stopping()
            return await self.stop(isDrained: true)
        }
        self.admin.recordLifecycle("starts")
        self.gateway.markStarted()
        let url = self.gateway.clientURL
        self.logger.ready(url: url, node: self.name, store: self.options.store.kind.name)
        if let admin = self.gateway.adminAddress {
            self.logger.info("admin listening", ["address": .text(admin.text)])
        }
        if isatty(STDERR_FILENO) == 1 {
            let steps = NextSteps(
                options: self.options, program: CommandLine.arguments.first ?? "confab",
                port: self.gateway.clientAddress.port, adminPort: self.gateway.adminAddress?.port)
            self.logger.note(steps.lines)
        }
        self.service.started(at: url)
        let watches = [Task { await self.watchKeySet() }, Task { await self.watchStore() }]
        defer { for watch in watches { watch.cancel() } }
        for await signal in signals {
            guard signal != .hangUp else {
                self.reload()
                continue
            }
            return await self.drainAndStop()
        }
        return 0
    }

    /// Reads the bans, even if the store is unavailable for long. Clients are admitted only
    /// afterwards, because until then every banned user could connect.
    private func readBans() async {
        while await self.gateway.refreshBans(within: .seconds(2)) == nil {
            guard !Task.isCancelled else { return }
            self.logger.warning(
                "waiting for the bans", ["reason": "the store does not answer, or failed"])
            try? await Task.sleep(for: .seconds(1))
        }
    }

    /// Hands over the shards, and closes the clients one after the other.
    private func drainAndStop() async -> Int32 {
        self.admin.beginShutdown()
        self.service.stopping()
        self.logger.info(
            "drain started",
            [
                "connections": LogValue(self.gateway.connectionCount),
                "over": LogValue(self.options.drain),
            ])
        // A second signal stops the node at once.
        let isStopped = await self.wasStopped(
            by: 2,
            before: {
                self.gateway.refuseClients()
                await self.store.handOver(within: .seconds(10))
                self.gateway.drain(over: self.options.drain)
                // A close handshake may take five more seconds.
                await self.gateway.waitUntilDrained(within: self.options.drain + .seconds(6))
            })
        return await self.stop(isDrained: !isStopped)
    }

    /// Runs `work`. Returns true if this many stop signals arrived before it ended.
    private func wasStopped(by count: Int, before work: @escaping @Sendable () async -> Void) async
        -> Bool
    {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await work()
                return false
            }
            group.addTask { await self.stops.wait(for: count) }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
    }

    private func stop(isDrained: Bool) async -> Int32 {
        await self.store.leave(within: .seconds(2))
        self.admin.recordLifecycle("stops")
        self.gateway.stop()
        self.webhooks?.stop()
        self.store.close()
        self.logger.info("node stopped", ["drained": LogValue(isDrained)])
        return 0
    }

    /// Reloads keys, certificate, origins, limits and log level. After an error everything stays as
    /// it was.
    private func reload() {
        self.service.reload {
            do {
                try self.loadSettings()
                return nil
            } catch {
                self.logger.error(
                    "reload failed; settings unchanged", ["reason": .text("\(error)")])
                return "\(error)"
            }
        }
    }

    private func loadSettings() throws {
        // Command line and environment are the same; only files may have changed.
        guard
            case .serve(let options) = try Invocation(
                Array(CommandLine.arguments.dropFirst()),
                environment: ProcessContext.environment, Program.commands)
        else { return }
        let keys = NodeKeys(options)
        var live = try keys.load()
        live.limits = LimitTable.reloaded(self.options.limits, with: options.limits)
        keys.logWarnings(to: self.logger)
        try self.webhooks?.reloadSecrets(NodeKeys(self.options))
        self.gateway.reload(live)
        self.report.settingsReloaded(live)
        self.admin.logLevels.configure(options.logLevel)
        self.admin.attach(NodeSetting.all(of: self.options, reloaded: options))
        self.logger.info("settings reloaded")
    }

    private func watchStore() async {
        if !self.options.store.kind.isShared { await self.admin.watchStore() }
    }

    /// Reloads the key set when its file changes. It reads the file's state every two seconds,
    /// because the file belongs to another program, which may replace it or its folder.
    private func watchKeySet() async {
        let files = NodeKeys(self.options).files
        guard files.keySet != nil else { return }
        // The node may have waited for its store for long since it read the key set.
        var known = self.initialKeySet
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(2))
            let current = files.keySetFingerprint
            guard current != known else { continue }
            known = current
            self.reload()
        }
    }
}

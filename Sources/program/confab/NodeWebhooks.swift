import Bytes
import ChatEngine
import ChatModel
import Cluster
import Configuration
import Glibc
import Identity
import Synchronization
import Telemetry
import Webhooks

extension NodeKeys {
    /// The path of the webhook secrets: the configured one, or one next to the database.
    var webhookSecretPath: String {
        if let path = self.options.webhookSecretFile { return path }
        // With Redis, the options require a file.
        return if case .sqlite(let path) = self.options.store { "\(path).webhook-secret" } else {
            "confab.webhook-secret"
        }
    }

    /// Creates the secret on the first start with webhooks, unless a file is configured.
    ///
    /// - Returns: the path, if the file was created.
    func makeWebhookSecret() throws(KeyProblem) -> String? {
        guard !self.options.webhooks.isEmpty, self.options.webhookSecretFile == nil else {
            return nil
        }
        let random = (0..<32).map { _ in UInt8.random(in: 0...255) }
        do throws(KeyError) {
            let path = self.webhookSecretPath
            let isNew = try SecretFile(path: path).create(WebhookSignature.secretText(of: random))
            return isNew ? path : nil
        } catch {
            throw KeyProblem(description: error.description)
        }
    }

    /// Nil without webhooks.
    func webhookSignature() throws(KeyProblem) -> WebhookSignature? {
        guard !self.options.webhooks.isEmpty else { return nil }
        let path = self.webhookSecretPath
        let option = self.options.webhookSecretFile == nil ? "" : "--webhook-secret-file: "
        do {
            return try WebhookSignature(secrets: try FileProblem.readSecret(path))
        } catch {
            throw KeyProblem(description: "\(option)\(path): \(error)")
        }
    }
}

extension WebhookService {
    /// Nil without webhooks.
    static func make(_ options: ServeOptions, incarnation: UInt64, _ logger: Logger) throws
        -> WebhookService?
    {
        guard !options.webhooks.isEmpty else { return nil }
        return try WebhookService(
            WebhookSettings(
                urls: options.webhooks, types: Set(options.webhookEvents),
                filter: AddressFilter(allowing: options.webhookAllow),
                limit: options.limits.webhookBacklog, userAgent: "Confab/\(Program.version)"),
            consumer: String(incarnation, radix: 36), logger: logger)
    }

    /// Learns who is online; nil if no receiver wants to know.
    func presenceObserver(_ options: ServeOptions) -> (
        @Sendable ([PresenceChange], ConversationKey) -> Void
    )? {
        let isWanted = options.webhookEvents.contains {
            [.memberOnline, .memberOffline].contains($0)
        }
        guard isWanted else { return nil }
        return { self.announce($0, in: $1) }
    }

    func reloadSecrets(_ keys: NodeKeys) throws {
        if let signature = try keys.webhookSignature() { self.sign(with: signature) }
    }
}

/// Passes everything on to the node's loops, and tells its webhooks which shards it owns.
final class WebhookPartitions: RelayReceiver {
    private let receiver: any RelayReceiver
    private let webhooks: WebhookService
    private let owner: Mutex<UInt64>

    init(_ receiver: any RelayReceiver, _ webhooks: WebhookService, incarnation: UInt64) {
        self.receiver = receiver
        self.webhooks = webhooks
        self.owner = Mutex(incarnation)
    }

    private func own(in view: View, as incarnation: UInt64) {
        self.webhooks.own(
            (0..<Shard.count).filter { view.owner(of: $0).incarnation == incarnation })
    }

    func follow(_ view: View) {
        self.receiver.follow(view)
        self.own(in: view, as: self.owner.withLock { $0 })
    }

    func rejoin(as incarnation: UInt64, in view: View) {
        self.receiver.rejoin(as: incarnation, in: view)
        self.owner.withLock { $0 = incarnation }
        self.own(in: view, as: incarnation)
    }

    func receive(_ envelope: Envelope) { self.receiver.receive(envelope) }

    func receive(_ message: RemoteLoopMessage, from node: UInt64) {
        self.receiver.receive(message, from: node)
    }

    func evictionChanged(isEvicted: Bool) { self.receiver.evictionChanged(isEvicted: isEvicted) }
    func messagesMayBeLost() { self.receiver.messagesMayBeLost() }
    func storeMayHaveLostData(on loop: Int) { self.receiver.storeMayHaveLostData(on: loop) }
    func linkProblemChanged(_ reason: String?) { self.receiver.linkProblemChanged(reason) }
}

import Bytes
import ChatModel
import Configuration
import Identity
import Telemetry
import Webhooks

extension NodeKeys {
    /// The path of the webhook secrets: the configured one, or one next to the store. With a shared
    /// store, the options require a file.
    var webhookSecretPath: String {
        self.options.webhookSecretFile ?? self.options.store.file("webhook-secret")
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

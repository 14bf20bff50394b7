internal import Bytes
public import Configuration

/// The settings of webhooks.
public struct WebhookSettings: Sendable {
    public let urls: [WebhookURL]
    /// The names of the endpoints for logs, metrics and operators, in the order of the URLs.
    let names: [String]
    public let types: Set<WebhookEventType>
    public let filter: AddressFilter
    /// The most events that wait for an endpoint.
    public let limit: Int
    /// The name of the program and its version, for the field User-Agent.
    public let userAgent: String

    public init(
        urls: [WebhookURL], types: Set<WebhookEventType>, filter: AddressFilter,
        limit: Int, userAgent: String
    ) {
        self.urls = urls
        self.names = WebhookURL.names(of: urls)
        self.types = types
        self.filter = filter
        self.limit = limit
        self.userAgent = userAgent
    }

    /// The consumer group of an endpoint: it depends only on the URL, so that events that wait
    /// survive a change of the other settings.
    static func group(of url: WebhookURL) -> ByteString {
        let text = ByteString("\(url.isSecure)\(url.hostField)\(url.target)")
        return ByteString(WebhookEvent.hex(StableHash.of(text)))
    }
}

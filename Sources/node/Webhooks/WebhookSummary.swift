/// The state of all endpoints of a node.
public struct WebhookSummary: Sendable {
    /// The origins of the endpoints' URLs, each with a number if it is not the first of its kind.
    public let urls: [String]
    public let reports: [WebhookReport]
    /// The dead letters in this node's partitions, of all endpoints.
    public let deadCount: Int

    init(urls: [String], reports: [WebhookReport]? = nil, deadCount: Int = 0) {
        self.urls = urls
        self.reports = reports ?? urls.map { _ in WebhookReport() }
        self.deadCount = deadCount
    }
}

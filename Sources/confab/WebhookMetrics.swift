import Telemetry
import Webhooks

extension WebhookSummary {
    /// Adds the state of the endpoints to a metrics snapshot.
    func add(to snapshot: inout MetricsSnapshot) {
        for (url, report) in zip(self.urls, self.reports) {
            let labels: MetricLabels = ["endpoint": url]
            snapshot.add(report.deliveredCount, to: .webhookDelivered, labels: labels)
            snapshot.add(report.failedCount, to: .webhookFailed, labels: labels)
            snapshot.add(report.dead, to: .webhookGivenUp, labels: labels)
            snapshot.add(report.dropped, to: .webhookDropped, labels: labels)
            snapshot.add(report.pending, to: .webhookPending, labels: labels)
            snapshot.add(
                Int((report.oldestAge ?? 0) / 1000), to: .webhookOldestAge, labels: labels)
            snapshot.add(report.isGone ? 0 : 1, to: .webhookEnabled, labels: labels)
        }
        snapshot.add(self.deadCount, to: .webhookDead)
    }
}

extension MetricFamily {
    static let webhookDelivered = MetricFamily(
        "confab_webhook_delivered_total", .counter, help: "Events that an endpoint has accepted.")
    static let webhookFailed = MetricFamily(
        "confab_webhook_failed_total", .counter, help: "Failed attempts to send an event.")
    static let webhookGivenUp = MetricFamily(
        "confab_webhook_given_up_total", .counter, help: "Events that became dead letters.")
    static let webhookDropped = MetricFamily(
        "confab_webhook_dropped_total", .counter,
        help: "Dead letters dropped at their bound, and presence events that failed.")
    static let webhookPending = MetricFamily(
        "confab_webhook_pending", .gauge, help: "Events that wait for an endpoint.")
    static let webhookOldestAge = MetricFamily(
        "confab_webhook_oldest_age_seconds", .gauge,
        help: "Age of the oldest event that waits for an endpoint.")
    static let webhookEnabled = MetricFamily(
        "confab_webhook_enabled", .gauge, help: "0 after the endpoint has answered 410.")
    static let webhookDead = MetricFamily(
        "confab_webhook_dead", .gauge, help: "Dead letters in this node's part of the store.")
}

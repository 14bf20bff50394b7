import Telemetry
import Webhooks

extension WebhookSummary {
    /// Adds the state of the endpoints to a metrics snapshot.
    func add(to snapshot: inout MetricsSnapshot) {
        for (url, report) in zip(self.urls, self.reports) {
            let labels: MetricLabels = ["endpoint": url]
            snapshot.add(report.deliveredCount, to: .webhookEventsDelivered, labels: labels)
            snapshot.add(report.failedCount, to: .webhookAttemptsFailed, labels: labels)
            snapshot.add(report.dead, to: .webhookEventsDeadLettered, labels: labels)
            snapshot.add(report.dropped, to: .webhookEventsDropped, labels: labels)
            snapshot.add(report.pending, to: .webhookEventsPending, labels: labels)
            snapshot.add(
                Int((report.oldestAge ?? 0) / 1000), to: .webhookOldestEventAge, labels: labels)
            snapshot.add(report.isGone ? 0 : 1, to: .webhookEnabled, labels: labels)
        }
        snapshot.add(self.deadCount, to: .webhookDeadLetters)
    }
}

extension MetricFamily {
    static let webhookEventsDelivered = MetricFamily(
        "confab_webhook_events_delivered_total", .counter,
        help: "Events that an endpoint has accepted.")
    static let webhookAttemptsFailed = MetricFamily(
        "confab_webhook_attempts_failed_total", .counter, help: "Failed attempts to send an event.")
    static let webhookEventsDeadLettered = MetricFamily(
        "confab_webhook_events_dead_lettered_total", .counter,
        help: "Events that became dead letters.")
    static let webhookEventsDropped = MetricFamily(
        "confab_webhook_events_dropped_total", .counter,
        help: "Dead letters dropped at their bound, and presence events that failed.")
    static let webhookEventsPending = MetricFamily(
        "confab_webhook_events_pending", .gauge, help: "Events that wait for an endpoint.")
    static let webhookOldestEventAge = MetricFamily(
        "confab_webhook_oldest_event_age_seconds", .gauge,
        help: "Age of the oldest event that waits for an endpoint.")
    static let webhookEnabled = MetricFamily(
        "confab_webhook_enabled", .gauge, help: "0 after the endpoint has answered 410.")
    static let webhookDeadLetters = MetricFamily(
        "confab_webhook_dead_letters", .gauge,
        help: "Dead letters in this node's part of the store.")
}

import EmbeddedStore
import Telemetry

extension StoreStatistics {
    /// Adds the store's statistics to a metrics snapshot.
    func add(to snapshot: inout MetricsSnapshot) {
        snapshot.add(self.queuedWrites, to: .storeQueueLength, labels: ["kind": "write"])
        snapshot.add(self.queuedReads, to: .storeQueueLength, labels: ["kind": "read"])
        snapshot.add(self.queuedBytes, to: .storeQueueBytes)
        snapshot.add(self.rejectedRequests, to: .storeRequestsRejected)
        snapshot.add(self.commits, to: .storeCommits)
        snapshot.add(self.failedCommits, to: .storeCommitsFailed)
        snapshot.add(self.commitTimes, to: .storeCommitSeconds)
        snapshot.add(self.writesPerCommit, to: .storeWritesPerCommit)
    }
}

extension MetricFamily {
    static let storeQueueLength = MetricFamily(
        "confab_store_queue_length", .gauge, help: "Requests waiting for the store.")
    static let storeQueueBytes = MetricFamily(
        "confab_store_queue_bytes", .gauge, help: "Bytes of the requests waiting for the store.")
    static let storeRequestsRejected = MetricFamily(
        "confab_store_requests_rejected_total", .counter,
        help: "Requests rejected because the store's queue was full.")
    static let storeCommits = MetricFamily(
        "confab_store_commits_total", .counter, help: "Committed transactions.")
    static let storeCommitsFailed = MetricFamily(
        "confab_store_commits_failed_total", .counter,
        help: "Failed transactions.")
    static let storeCommitSeconds = MetricFamily(
        "confab_store_commit_seconds", .histogram(.durations),
        help: "Time from the start of a transaction until it is durable.")
    static let storeWritesPerCommit = MetricFamily(
        "confab_store_writes_per_commit", .histogram(.counts), help: "Changes in one transaction.")
}

import Telemetry

/// The metrics of connections and messages. Their names are an interface, because dashboards and
/// alerts depend on them.
extension MetricFamily {
    static let connections = MetricFamily(
        "confab_connections", .gauge, help: "Open WebSocket connections.")
    static let connectionsAccepted = MetricFamily(
        "confab_connections_accepted_total", .counter, help: "Connections accepted.")
    static let connectionsRefused = MetricFamily(
        "confab_connections_refused_total", .counter,
        help: "Requests and connections refused, by reason.")
    static let httpRequests = MetricFamily(
        "confab_http_requests_total", .counter, help: "HTTP requests, upgrades included.")
    static let httpResponses = MetricFamily(
        "confab_http_responses_total", .counter,
        help: "HTTP responses sent, upgrades included, by status code.")
    static let messagesReceived = MetricFamily(
        "confab_messages_received_total", .counter,
        help: "WebSocket messages received from clients.")
    static let messagesStored = MetricFamily(
        "confab_messages_stored_total", .counter,
        help: "Messages that clients sent and that are stored.")
    static let messagesDelivered = MetricFamily(
        "confab_messages_delivered_total", .counter,
        help: "Chat messages delivered to connections, counted for each connection.")
    static let receivedBytes = MetricFamily(
        "confab_received_bytes_total", .counter, help: "Bytes read from connections.")
    static let sentBytes = MetricFamily(
        "confab_sent_bytes_total", .counter, help: "Bytes written to connections.")
    static let messagesDropped = MetricFamily(
        "confab_messages_dropped_total", .counter,
        help: "Events, messages and envelopes that were dropped, by reason.")
    static let connectionsClosed = MetricFamily(
        "confab_connections_closed_total", .counter,
        help: "Connections closed by the server, by close code.")
    static let storeLostChanges = MetricFamily(
        "confab_store_lost_changes_total", .counter,
        help: "Stored changes that the store lost, by outcome: restored, renumbered or lost."
    )
    static let conversationsOwned = MetricFamily(
        "confab_conversations_owned", .gauge, help: "Conversations in memory that this node owns.")
    static let conversationsSubscribed = MetricFamily(
        "confab_conversations_subscribed", .gauge,
        help: "Conversations with subscribers, counted for each loop.")
    static let ownerRequestsPending = MetricFamily(
        "confab_owner_requests_pending", .gauge, help: "Requests to owners that have no answer yet."
    )
    static let clientRequestsPending = MetricFamily(
        "confab_client_requests_pending", .gauge,
        help: "Requests of clients that have no answer yet.")
    static let users = MetricFamily(
        "confab_users", .gauge, help: "Users with a connection, counted for each loop.")
    static let turnSeconds = MetricFamily(
        "confab_loop_turn_seconds", .histogram(.durations),
        help: "The longest turn of an event loop in each second, in which other work waited.")
    static let storeSeconds = MetricFamily(
        "confab_store_write_seconds", .histogram(.durations),
        help: "The time from submitting a batch to the store's reply.")
    static let storeWrites = MetricFamily(
        "confab_store_writes_total", .counter,
        help: "Changes stored: messages, edits, deletions, members, cursors.")
    static let storeWriteBytes = MetricFamily(
        "confab_store_write_bytes_total", .counter,
        help: "Bytes of message contents and metadata submitted to the store.")
    static let storePendingBatches = MetricFamily(
        "confab_store_pending_batches", .gauge, help: "Batches of changes that await the store.")
    static let storeErrors = MetricFamily(
        "confab_store_errors_total", .counter,
        help: "Requests to the store that failed, including the probes of the node's health.")
    static let deliverySeconds = MetricFamily(
        "confab_delivery_seconds", .histogram(.durations),
        help: "The time from accepting a message on any node to writing it to sockets of a loop.")
}

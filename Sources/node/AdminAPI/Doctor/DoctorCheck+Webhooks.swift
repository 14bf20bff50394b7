internal import Configuration
internal import JSON

/// The check of webhooks, on nodes that have some.
extension DoctorCheck {
    /// As in the alert.
    private static let stuckSeconds = 900

    static let webhookChecks: [DoctorCheck] = [
        DoctorCheck(name: "webhooks") { node, _ in
            guard let rows = node["webhooks"]?.elements else { return nil }
            if let gone = rows.first(where: { $0["state"]?.stringValue == "gone" }) {
                return .failed(
                    "\(gone["url"]?.stringValue ?? "?") has answered 410, and gets no events.",
                    "Correct or remove the URL of --webhook, and restart the node.")
            }
            if let stuck = rows.first(where: {
                $0["oldest_age"]?.integerValue ?? 0 > Self.stuckSeconds
            }) {
                return .warning(
                    """
                    \(stuck["url"]?.stringValue ?? "?") has not accepted an event for \
                    \((stuck["oldest_age"]?.integerValue ?? 0) / 60) minutes: \
                    \(stuck["last_error"]?.stringValue ?? "one conversation fails").
                    """, "Repair the receiver; `confab webhooks` shows the progress.")
            }
            let dead = node["dead_letters"]?.integerValue ?? 0
            guard dead == 0 else {
                return .warning(
                    "\(OperatorText.count(dead, "event")) could not be delivered.",
                    """
                    Read `confab webhooks --dead`, then send the events again with `confab \
                    webhooks --retry all`, or drop them.
                    """)
            }
            return .ok("All \(rows.count) receivers accept events.")
        }
    ]
}

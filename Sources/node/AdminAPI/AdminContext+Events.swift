internal import Bytes
internal import ChatCore
internal import ChatModel
internal import ClusterWire
internal import NodeLink
internal import Telemetry

/// The event log of the cluster or, without Redis, of the node.
extension AdminContext {
    /// Records an operator's action.
    func record(_ event: String, _ request: AdminRequest, detail: String? = nil) {
        self.record(event, by: request.operatorName, detail: detail)
    }

    func record(_ event: String, by operatorName: String?, detail: String? = nil) {
        var details: [NodeLink.Event.Detail] = []
        if let operatorName { details.append(.init("operator", operatorName)) }
        if let detail { details.append(.init("detail", detail)) }
        if let link = self.link { return link.record(event, details) }
        let common: [NodeLink.Event.Detail] = [
            .init("event", event), .init("name", self.record.name),
        ]
        self.localEvents.append(common + details, at: WallClock.now)
    }

    /// Records the action in the event log and in the log of this node.
    func recordModeration(_ event: String, _ request: AdminRequest, detail: String) {
        self.logger.info(
            "moderation by operator",
            [
                "action": .text(event), "operator": .text(request.operatorName),
                "detail": .text(detail),
            ])
        self.record(event, request, detail: detail)
    }
}

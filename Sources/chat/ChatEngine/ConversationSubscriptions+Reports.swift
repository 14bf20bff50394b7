import ChatCore
import ChatModel

/// Reports to owners that sockets accepted messages.
extension ConversationSubscriptions {
    mutating func recordDelivery(
        in feed: FeedID, to user: UserID, of range: ClosedRange<SequenceNumber>
    ) {
        guard self.feeds.isCurrent(feed) else { return }
        if self.feeds[feed.slot].reports.isEmpty {
            self.feeds[feed.slot].reportPeriods =
                self.feeds[feed.slot].isBusy ? Feed.busyReportPeriods : 1
        }
        if !self.feeds[feed.slot].isInReportList {
            self.feeds[feed.slot].isInReportList = true
            self.feedsWithReports.append(feed)
        }
        self.feeds[feed.slot].addReport(DeliveryReport(user: user, range: range))
    }

    /// Sends the reports that no message carried in time. Call it once per period.
    mutating func flushDueReports(output: inout LoopOutput) {
        var waiting: [FeedID] = []
        swap(&waiting, &self.feedsWithReports)
        for feed in waiting where self.feeds.isCurrent(feed) {
            if self.feeds[feed.slot].reports.isEmpty || self.feeds[feed.slot].reportPeriods == 0 {
                self.feeds[feed.slot].isInReportList = false
                self.flushReports(of: feed.slot, output: &output)
            } else {
                self.feeds[feed.slot].reportPeriods -= 1
                self.feedsWithReports.append(feed)
            }
        }
        output.flushDeferred()
    }

    /// Queues the reports behind other items to the owner. Sent on their own, they would cost one
    /// packet per message.
    mutating func flushReports(of slot: UInt32, output: inout LoopOutput) {
        guard !self.feeds[slot].reports.isEmpty else { return }
        for report in self.feeds[slot].reports {
            output.sendDeferred(
                self.input(.delivered(report.user, report.range), slot), to: self.feeds[slot].owner)
        }
        self.feeds[slot].recordReportsSent()
    }
}

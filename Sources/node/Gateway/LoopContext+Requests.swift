import ChatCore
import DialectKit
import EventLoop
import HTTPWire
import Telemetry

/// Counts and logs HTTP requests.
extension LoopContext {
    /// How many refusals of one reason a loop logs in ten seconds.
    static let refusalLineLimit = 10
    static let refusalPeriod: Int64 = 10_000

    func countResponse(_ status: HTTPStatus) {
        self.counters.responses[min(max(status.rawValue, 0), 599)] &+= 1
    }

    /// Counts a refusal, and logs it unless there were many of this reason.
    ///
    /// - Parameters:
    ///   - sentence: the reason that the client gets, or would get.
    ///   - info: nil if the request is unreadable.
    func recordRefusal(
        _ reason: RefusalReason, _ sentence: String, _ connection: Connection,
        _ info: HTTPExchange.RequestInfo?
    ) {
        self.counters.refusals[reason.index] &+= 1
        if let limit = reason.clientLimit { self.shared.health.recordRefusal(by: limit) }
        guard self.shared.logger.isEnabled(.info),
            self.refusalLimiter.admit(reason, at: self.now.monotonic)
        else { return }
        self.shared.logger.info(
            "request refused",
            [
                "reason": .text(reason.rawValue), "message": .text(sentence),
                "listener": .text(connection.isClient ? "clients" : "admin"),
                "route": .optional(info?.route.pattern.description),
                "address": .text(info?.forwardedAddress?.clientText ?? connection.address),
                "origin": .optional(reason == .origin ? info?.origin : nil),
                "traceparent": .optional(info?.trace?.description),
            ])
    }

    /// Logs how many refusals were not logged. Called once a second.
    func logSuppressedRefusals() {
        for (reason, count) in self.refusalLimiter.endPeriods(at: self.now.monotonic) {
            self.shared.logger.info(
                "refusals suppressed",
                [
                    "reason": .text(reason.rawValue), "suppressed": LogValue(count),
                    "loop": LogValue(self.index),
                ])
        }
    }

    /// - Parameter info: nil if the request is unreadable.
    func logAnswered(
        _ connection: Connection, _ status: HTTPStatus, _ info: HTTPExchange.RequestInfo?
    ) {
        guard self.shared.logger.isEnabled(.debug) else { return }
        self.shared.logger.debug(
            "request answered",
            [
                "status": LogValue(status.rawValue), "method": .optional(info?.method.name),
                "route": .optional(info?.route.pattern.description),
                "listener": .text(connection.isClient ? "clients" : "admin"),
                "address": .text(info?.forwardedAddress?.clientText ?? connection.address),
                "user": .optional(info?.user),
                "traceparent": .optional(info?.trace?.description),
            ])
    }
}

import EventLoop
import Gateway
import Glibc
import Synchronization
import Telemetry

/// Sends the reports of a node to the service manager. Does nothing if none waits for them.
final class ServiceReporter: Sendable {
    private struct State {
        var reports: ServiceReports
        /// A failure is logged once, until a report arrives again.
        var hasFailed = false
    }

    private let socket: NotifySocket?
    private let state: Mutex<State>
    private let gateway: Gateway
    private let logger: Logger

    init(_ gateway: Gateway, _ logger: Logger) {
        self.gateway = gateway
        self.logger = logger
        var socket: NotifySocket?
        do throws(NotifySocket.NotifyError) {
            socket = try NotifySocket(environment: ProcessContext.environment)
        } catch {
            logger.warning("service manager not notified", ["reason": .text(error.description)])
        }
        self.socket = socket
        self.state = Mutex(State(reports: ServiceReports(watchdog: socket?.watchdog)))
    }

    /// Reports the node's condition until the task is cancelled.
    func reportRegularly() async {
        guard self.socket != nil else { return }
        let interval = self.state.withLock { $0.reports.interval }
        while !Task.isCancelled {
            let condition = self.condition
            self.send { $0.tick(condition) }
            try? await Task.sleep(for: interval)
        }
    }

    func started(at url: String) { self.send { $0.started(at: url) } }

    /// Reports the begin and the end of a reload.
    ///
    /// - Parameter reload: returns why the settings are unchanged, or nil.
    func reload(_ reload: () -> String?) {
        self.send { $0.reloadStarted(atMicroseconds: Self.monotonicMicroseconds) }
        let problem = reload()
        self.send { $0.reloadEnded(problem: problem) }
    }

    func stopping() { self.send { $0.stopping() } }

    private static var monotonicMicroseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    private var condition: ServiceReports.ServiceCondition {
        var problem: String?
        if case .degraded(let reason) = self.gateway.health.status { problem = reason }
        return ServiceReports.ServiceCondition(
            stuckLoop: self.gateway.health.stuckLoop, problem: problem,
            connectionCount: self.gateway.connectionCount)
    }

    /// Sends under the lock, so that the reports arrive in their order.
    private func send(_ report: (inout ServiceReports) -> String?) {
        guard let socket = self.socket else { return }
        self.state.withLock { state in
            guard let text = report(&state.reports) else { return }
            do throws(NotifySocket.NotifyError) {
                try socket.send(text)
                state.hasFailed = false
            } catch {
                guard !state.hasFailed else { return }
                state.hasFailed = true
                self.logger.warning(
                    "service manager not notified", ["reason": .text(error.description)])
            }
        }
    }
}

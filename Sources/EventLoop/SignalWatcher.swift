internal import CUV
import Glibc

/// Signals of the operating system that ask a service for something.
public enum ProcessSignal: Sendable, Hashable, CaseIterable {
    /// SIGTERM: end in good order.
    case terminate
    /// SIGINT: the same, from a keyboard.
    case interrupt
    /// SIGHUP: read the configuration again.
    case hangUp

    public var number: Int32 {
        switch self {
        case .terminate: SIGTERM
        case .interrupt: SIGINT
        case .hangUp: SIGHUP
        }
    }
}

/// Turns signals into calls on a loop.
public enum SignalWatcher {
    /// Calls `received` on `loop` whenever one of `signals` comes, instead of what the system would do, until the loop ends.
    public static func watch(
        _ signals: Set<ProcessSignal>, on loop: EventLoop, received: @escaping @Sendable (ProcessSignal) -> Void
    ) async throws(SocketError) {
        let failure: SocketError? = await withCheckedContinuation { continuation in
            loop.execute { continuation.resume(returning: loop.watch(signals, received)) }
        }
        if let failure { throw failure }
    }
}

/// A handle of libuv's and whom it calls.
struct SignalHandle {
    let handle: UnsafeMutablePointer<uv_signal_t>
    let signal: ProcessSignal
    let received: @Sendable (ProcessSignal) -> Void
}

extension EventLoop {
    private static let onSignal: uv_signal_cb = { handle, _ in
        Unmanaged<EventLoop>.fromOpaque(confab_uv_loop_data(handle)!)._withUnsafeGuaranteedRef { loop in
            loop.beginTurn()
            for watched in loop.body.pointee.signals where watched.handle == handle { watched.received(watched.signal) }
        }
    }

    fileprivate func watch(_ signals: Set<ProcessSignal>, _ received: @escaping @Sendable (ProcessSignal) -> Void) -> SocketError? {
        guard !self.body.pointee.isClosed else { return .loopEnded }
        for signal in signals {
            let handle = UnsafeMutablePointer<uv_signal_t>.allocate(capacity: 1)
            var code = uv_signal_init(self.body.pointee.loop, handle)
            guard code == 0 else {
                handle.deallocate()
                return SocketError(call: "pipe2", errno: -code)
            }
            self.body.pointee.signals.append(SignalHandle(handle: handle, signal: signal, received: received))
            code = uv_signal_start(handle, Self.onSignal, signal.number)
            if code != 0 { return SocketError(call: "sigaction", errno: -code) }
        }
        return nil
    }
}

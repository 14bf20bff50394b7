internal import CLinux
import Glibc
import Synchronization

/// Signals that ask a program to do something.
public enum ProcessSignal: Sendable, Hashable, CaseIterable {
    /// SIGTERM: shut down gracefully.
    case terminate
    /// SIGINT: the same, from a keyboard.
    case interrupt
    /// SIGHUP: reload the configuration.
    case hangUp
    /// SIGWINCH: the size of the terminal has changed.
    case windowChange

    public var number: Int32 {
        switch self {
        case .terminate: SIGTERM
        case .interrupt: SIGINT
        case .hangUp: SIGHUP
        case .windowChange: SIGWINCH
        }
    }
}

/// Delivers signals as calls on a loop.
public enum SignalWatcher {
    /// Calls `received` on `loop` for every signal in `signals`, instead of the system's default
    /// action, until the loop ends.
    ///
    /// Only one loop at a time can watch a signal.
    public static func watch(
        _ signals: Set<ProcessSignal>, on loop: EventLoop,
        received: @escaping @Sendable (ProcessSignal) -> Void
    ) async throws(SocketError) {
        let failure: SocketError? = await withCheckedContinuation { continuation in
            loop.execute {
                continuation.resume(returning: Self.startWatching(signals, on: loop, received))
            }
        }
        if let failure { throw failure }
    }

    private static func startWatching(
        _ signals: Set<ProcessSignal>, on loop: EventLoop,
        _ received: @escaping @Sendable (ProcessSignal) -> Void
    ) -> SocketError? {
        let forwarder = SignalForwarder(received: received)
        loop.registerHandler(forwarder)
        do throws(SocketError) {
            for signal in signals {
                let descriptor = try SignalDescriptors.open(signal)
                do throws(SocketError) {
                    forwarder.signals[try loop.register(descriptor, for: forwarder)] = signal
                } catch {
                    close(descriptor)
                    throw error
                }
                try SignalDescriptors.installHandler(for: signal)
            }
            return nil
        } catch {
            return error
        }
    }
}

/// Receives signals on its loop.
private final class SignalForwarder: EventLoopHandler {
    // Used only on the loop's thread, like every handler.
    nonisolated(unsafe) var signals: [SocketToken: ProcessSignal] = [:]
    private let received: @Sendable (ProcessSignal) -> Void

    init(received: @escaping @Sendable (ProcessSignal) -> Void) {
        self.received = received
    }

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        guard let signal = self.signals[token] else { return }
        SignalDescriptors.clear(signal)
        self.received(signal)
    }

    func loopStopping() {
        for signal in self.signals.values { SignalDescriptors.restoreDefault(for: signal) }
    }
}

/// The eventfd of each signal. A signal handler may do very little (signal-safety(7)), so it only
/// writes to this descriptor.
///
/// The descriptors are opened once and never closed, because a signal handler can run on any thread
/// at any time. Each loop watches a duplicate.
private enum SignalDescriptors {
    /// Indexed by the signal's number. Signal handlers read the table, so an entry is written
    /// before the handler is installed.
    nonisolated(unsafe) private static let byNumber: UnsafeMutablePointer<Int32> = {
        let table = UnsafeMutablePointer<Int32>.allocate(capacity: 65)
        table.initialize(repeating: -1, count: 65)
        return table
    }()
    private static let openLock = Mutex(())

    private static let handler: @convention(c) (Int32) -> Void = { number in
        let interrupted = errno
        var one: UInt64 = 1
        write(SignalDescriptors.byNumber[Int(number)], &one, 8)
        errno = interrupted
    }

    /// Returns a descriptor that becomes readable when the signal arrives. The caller owns it.
    static func open(_ signal: ProcessSignal) throws(SocketError) -> Int32 {
        let number = Int(signal.number)
        let shared = self.openLock.withLock { _ in
            if self.byNumber[number] < 0 {
                self.byNumber[number] = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
            }
            return self.byNumber[number]
        }
        guard shared >= 0 else { throw SocketError(call: "eventfd", errno: errno) }
        let duplicate = fcntl(shared, F_DUPFD_CLOEXEC, 0)
        guard duplicate >= 0 else { throw SocketError(call: "fcntl", errno: errno) }
        return duplicate
    }

    /// Resets the descriptor, so that it is not readable any more.
    static func clear(_ signal: ProcessSignal) {
        var count: UInt64 = 0
        read(self.byNumber[Int(signal.number)], &count, 8)
    }

    static func installHandler(for signal: ProcessSignal) throws(SocketError) {
        self.clear(signal)
        guard self.setAction(of: signal, to: self.handler) else {
            throw SocketError(call: "sigaction", errno: errno)
        }
    }

    /// Restores the system's default action.
    static func restoreDefault(for signal: ProcessSignal) {
        _ = self.setAction(of: signal, to: SIG_DFL)
    }

    private static func setAction(of signal: ProcessSignal, to handler: __sighandler_t?) -> Bool {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = handler
        action.sa_flags = SA_RESTART
        sigfillset(&action.sa_mask)
        return sigaction(signal.number, &action, nil) == 0
    }
}

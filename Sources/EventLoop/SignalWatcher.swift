internal import CLinux
import Glibc
import Synchronization

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
    ///
    /// A signal is one loop's at a time.
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
        let listener = SignalForwarder(received: received)
        loop.registerHandler(listener)
        do throws(SocketError) {
            for signal in signals {
                let descriptor = try SignalDescriptors.open(signal)
                do throws(SocketError) {
                    listener.signals[try loop.register(descriptor, for: listener)] = signal
                } catch {
                    close(descriptor)
                    throw error
                }
                try SignalDescriptors.installHandler(signal)
            }
            return nil
        } catch {
            return error
        }
    }
}

/// Hears of signals on its loop.
private final class SignalForwarder: EventLoopHandler {
    // Of the loop's thread alone, like every call of a handler.
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
        for signal in self.signals.values { SignalDescriptors.restoreDefault(signal) }
    }
}

/// Where the handler of a signal, which may do next to nothing (signal-safety(7)), leaves word that it came: an eventfd for each.
///
/// Opened once and never closed, because a handler may be about to write to it on any thread at any time. A loop watches a duplicate.
private enum SignalDescriptors {
    /// By the signal's number: read by handlers, so written only before they are set.
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

    /// A descriptor that can be read when the signal has come; the caller's.
    static func open(_ signal: ProcessSignal) throws(SocketError) -> Int32 {
        let number = Int(signal.number)
        let post = self.openLock.withLock { _ in
            if self.byNumber[number] < 0 {
                self.byNumber[number] = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
            }
            return self.byNumber[number]
        }
        guard post >= 0 else { throw SocketError(call: "eventfd", errno: errno) }
        let duplicate = fcntl(post, F_DUPFD_CLOEXEC, 0)
        guard duplicate >= 0 else { throw SocketError(call: "fcntl", errno: errno) }
        return duplicate
    }

    /// Forgets that it came.
    static func clear(_ signal: ProcessSignal) {
        var count: UInt64 = 0
        read(self.byNumber[Int(signal.number)], &count, 8)
    }

    static func installHandler(_ signal: ProcessSignal) throws(SocketError) {
        self.clear(signal)
        guard self.setAction(of: signal, to: self.handler) else {
            throw SocketError(call: "sigaction", errno: errno)
        }
    }

    /// The system does again what it would do by itself.
    static func restoreDefault(_ signal: ProcessSignal) {
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

internal import CLinux
import Glibc
import Synchronization

/// A named thread that can be joined.
final class LoopThread: Sendable {
    private enum State { case running(pthread_t), joined }

    private let state: Mutex<State>

    /// Starts the thread. It ends when `body` returns.
    init(name: String, _ body: @escaping @Sendable () -> Void) throws(SocketError) {
        self.state = Mutex(.running(try Self.spawn(name: name, body)))
    }

    deinit {
        if case .running(let thread) = self.state.withLock({ $0 }) { pthread_detach(thread) }
    }

    /// Waits until the thread has ended. Several callers may wait at the same time.
    func join() {
        self.state.withLock {
            guard case .running(let thread) = $0 else { return }
            pthread_join(thread, nil)
            $0 = .joined
        }
    }

    /// Runs `body` on a detached thread, or on the calling thread if the system cannot create one.
    static func runDetached(name: String, _ body: @escaping @Sendable () -> Void) {
        if let thread = try? Self.spawn(name: name, body) { pthread_detach(thread) } else { body() }
    }

    private final class ThreadClosure: Sendable {
        let body: @Sendable () -> Void
        init(body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private static let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? =
        { context in
            Unmanaged<ThreadClosure>.fromOpaque(context!).takeRetainedValue().body()
            return nil
        }

    private static func spawn(name: String, _ body: @escaping @Sendable () -> Void)
        throws(SocketError) -> pthread_t
    {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(ThreadClosure(body: body))
        let code = pthread_create(&thread, nil, Self.main, context.toOpaque())
        guard code == 0 else {
            context.release()
            throw .system(call: "pthread_create", errno: code)
        }
        // The kernel keeps 15 characters of the name.
        _ = String(name.prefix(15)).withCString { confab_set_thread_name(thread, $0) }
        return thread
    }
}

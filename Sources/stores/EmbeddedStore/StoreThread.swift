internal import Glibc

/// A dedicated thread for blocking calls.
final class StoreThread: Sendable {
    private let thread: pthread_t

    private final class ThreadBody {
        private let name: String
        private let body: () -> Void

        init(name: String, _ body: @escaping () -> Void) {
            self.name = name
            self.body = body
        }

        func run() {
            // As pthread_setname_np, which Swift does not import: sets the name that `top -H`
            // shows.
            let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
            if descriptor >= 0 {
                _ = write(descriptor, self.name, self.name.utf8.count)
                close(descriptor)
            }
            self.body()
        }
    }

    /// Starts a thread that runs `body`.
    init(name: String, _ body: sending @escaping () -> Void) {
        var thread = pthread_t()
        let start = Unmanaged.passRetained(ThreadBody(name: name, body))
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, start.toOpaque())
        precondition(code == 0, "cannot create the thread \(name): \(code)")
        self.thread = thread
    }

    /// Waits for the thread to end. To be called once, and not on the thread itself.
    func join() {
        pthread_join(self.thread, nil)
    }

    var isCurrent: Bool { pthread_equal(self.thread, pthread_self()) != 0 }

    /// Lets the system free the thread's resources when it ends.
    func detach() {
        pthread_detach(self.thread)
    }
}

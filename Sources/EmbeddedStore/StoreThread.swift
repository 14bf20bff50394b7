internal import Glibc

/// A thread of its own for what blocks.
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
            // As pthread_setname_np does, which Swift does not see: what `top -H` shows.
            let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
            if descriptor >= 0 {
                _ = write(descriptor, self.name, self.name.utf8.count)
                close(descriptor)
            }
            self.body()
        }
    }

    /// Starts a thread; `body` has what it uses for itself.
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
        precondition(code == 0, "the system gave no thread for \(name): \(code)")
        self.thread = thread
    }

    /// Waits until the thread has ended. Once only, and not from within it.
    func join() {
        pthread_join(self.thread, nil)
    }

    var isCurrent: Bool { pthread_equal(self.thread, pthread_self()) != 0 }

    /// Lets the thread end by itself.
    func detach() {
        pthread_detach(self.thread)
    }
}

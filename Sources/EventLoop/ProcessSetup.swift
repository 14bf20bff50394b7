import Glibc

/// What the process may use.
public enum ProcessSetup {
    /// Raises the number of files this process may open to the most it is allowed, and answers with it.
    ///
    /// Each connection is one, and the usual first limit is 1,024.
    @discardableResult
    public static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return 1024
        }
        if limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = raised.rlim_max
            if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 {
                limit = raised
            }
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// Makes a write to a closed connection an error instead of the end of the process; every loop's start does it.
    ///
    /// Our own writes ask for that one by one, OpenSSL's do not.
    public static func ignoreBrokenPipes() {
        _ = self.brokenPipesIgnored
    }

    private static let brokenPipesIgnored: Void = { _ = signal(SIGPIPE, SIG_IGN) }()
}

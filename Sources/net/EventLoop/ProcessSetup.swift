import Glibc

/// Settings of the whole process that a server needs.
public enum ProcessSetup {
    /// Raises the limit of open files to the maximum that the process may have, and returns it.
    ///
    /// Each connection is one open file, and the usual default limit is 1,024.
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

    /// Makes a write to a closed connection return an error instead of ending the process. Every
    /// loop calls this when it starts.
    ///
    /// Our own writes request this individually, but OpenSSL's do not.
    public static func ignoreBrokenPipes() {
        _ = self.brokenPipesIgnored
    }

    private static let brokenPipesIgnored: Void = { _ = signal(SIGPIPE, SIG_IGN) }()
}

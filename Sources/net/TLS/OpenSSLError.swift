internal import COpenSSL
internal import Glibc

/// OpenSSL's error queue of the current thread.
///
/// It must be empty before every call, because `SSL_get_error` reads it. Otherwise an error of
/// another connection on the same thread would be reported for this one.
enum OpenSSLError {
    static func clear() {
        ERR_clear_error()
        // The end of a stream does not set errno, so a value from an earlier call would remain.
        errno = 0
    }

    /// The earliest error: the cause, not its consequences.
    static var code: UInt { ERR_peek_error() }

    /// The cause as OpenSSL describes it.
    static var reason: String {
        let code = self.code
        guard code != 0 else { return "unknown reason" }
        if let text = ERR_reason_error_string(code) { return String(cString: text) }
        // The reason of a system error is its number, and it has no text.
        return self.isSystemError(code) ? self.systemReason(ERR_GET_REASON(code)) : "error \(code)"
    }

    static func systemReason(_ number: Int32) -> String {
        String(cString: strerror(number))
    }

    static func isReason(_ reason: Int32, ofLibrary library: Int32) -> Bool {
        ERR_GET_LIB(self.code) == library && ERR_GET_REASON(self.code) == reason
    }

    private static func isSystemError(_ code: UInt) -> Bool {
        ERR_GET_LIB(code) == ERR_LIB_SYS
    }
}

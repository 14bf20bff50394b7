internal import COpenSSL
internal import Glibc

/// OpenSSL's queue of errors, one for each thread.
///
/// It must be empty before every call: `SSL_get_error` reads it, and an error that another connection of the same
/// thread has left there would be taken for this one's.
enum OpenSSLError {
    static func clear() {
        ERR_clear_error()
        errno = 0  // A socket's end sets none, and would get the last call's.
    }

    /// The earliest error: the cause, not what followed from it.
    static var code: UInt { ERR_peek_error() }

    /// The cause in OpenSSL's own words.
    static var reason: String {
        let code = self.code
        guard code != 0 else { return "no reason is known" }
        if let words = ERR_reason_error_string(code) { return String(cString: words) }
        // System errors have their number for a reason, and no words.
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

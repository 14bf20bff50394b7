internal import COpenSSL

/// OpenSSL, as a part of the whole process.
public enum CryptoLibrary {
    /// Makes `exit` leave the library's memory to the system. Call it before everything else.
    ///
    /// By default `exit` frees it. A thread that ends at the same moment frees its part of it too,
    /// and then the process aborts; every loop that has calculated a hash is such a thread. Source:
    /// OPENSSL_init_crypto(3), OPENSSL_INIT_NO_ATEXIT.
    public static func skipCleanupAtExit() {
        _ = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
    }
}

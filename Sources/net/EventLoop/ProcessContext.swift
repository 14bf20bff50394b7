@preconcurrency internal import Glibc

/// The environment of the process, and the name of its machine.
///
/// Foundation has both, but would add several megabytes to the program.
public enum ProcessContext {
    /// The variables of the environment. Bytes that are not UTF-8 become U+FFFD.
    public static var environment: [String: String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            // As for `getenv`, the first of two variables with one name counts.
            if parts.count == 2, variables[String(parts[0])] == nil {
                variables[String(parts[0])] = String(parts[1])
            }
            entry += 1
        }
        return variables
    }

    /// The host name of the machine; `localhost` if the system reports none.
    public static var hostname: String {
        var name = [CChar](repeating: 0, count: 256)
        // The last byte stays 0, because gethostname does not terminate a name that it cuts.
        guard gethostname(&name, name.count - 1) == 0, name[0] != 0 else { return "localhost" }
        let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

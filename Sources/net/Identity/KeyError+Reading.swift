internal import Bytes

extension KeyError {
    init(_ error: SmallFile.ReadError, path: String) {
        self =
            switch error {
            case .system(let reason): .file(path: path, reason: reason)
            case .tooLong:
                .unusable(path: path, reason: "is larger than \(SmallFile.byteLimit) bytes")
            }
    }

    /// Reads a file, and names it in the error.
    static func read(
        _ path: String, _ read: (String) throws(SmallFile.ReadError) -> [UInt8] = SmallFile.read
    ) throws(KeyError) -> [UInt8] {
        do throws(SmallFile.ReadError) {
            return try read(path)
        } catch {
            throw KeyError(error, path: path)
        }
    }
}

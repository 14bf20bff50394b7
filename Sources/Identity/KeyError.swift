/// Why keys cannot be used; each sentence names the file.
public enum KeyError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The system would not read or write it; `reason` is the system's.
    case file(path: String, reason: String)
    case secretTooShort(path: String, bytes: Int)
    /// A PEM file where a secret is expected: whoever has the public key could sign.
    case secretIsPEM(path: String)
    /// `reason` ends the sentence "… cannot be used: it".
    case unusable(path: String, reason: String)
    /// `reason` ends the sentence "Key 3 of … cannot be used: it"; `number` counts from 1.
    case unusableKey(path: String, number: Int, reason: String)
    case tooManyKeys(limit: Int)
    case noKeys

    /// The file that it is about; nil for errors of all of them together.
    public var path: String? {
        switch self {
        case .file(let path, _), .secretTooShort(let path, _), .secretIsPEM(let path),
            .unusable(let path, _),
            .unusableKey(let path, _, _):
            path
        case .tooManyKeys, .noKeys: nil
        }
    }

    public var description: String {
        switch self {
        case .file(let path, let reason): "\(path): \(reason)."
        case .secretTooShort(let path, let bytes):
            "The secret in \(path) has \(bytes) bytes; it must have at least \(SecretFile.secretByteMinimum), the last newline not counted."
        case .secretIsPEM(let path):
            "\(path) holds a PEM key, not a secret; give it as a public key file."
        case .unusable(let path, let reason): "\(path) cannot be used: it \(reason)."
        case .unusableKey(let path, let number, let reason):
            "Key \(number) of \(path) cannot be used: it \(reason)."
        case .tooManyKeys(let limit): "There are more than \(limit) keys to verify tokens with."
        case .noKeys:
            "There is no key to verify tokens with: give a secret, a public key or a key set."
        }
    }
}

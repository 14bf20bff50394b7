/// The reason why keys cannot be used. Each message names the file.
public enum KeyError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file cannot be read or written. `reason` is the system's message.
    case file(path: String, reason: String)
    case secretTooShort(path: String, bytes: Int)
    /// A PEM file was given as the secret. A public key must not be used as a secret, because
    /// everyone who has it could sign tokens.
    case secretIsPEM(path: String)
    /// `reason` completes the sentence "… cannot be used: it".
    case unusable(path: String, reason: String)
    /// `reason` completes the sentence "Key 3 of … cannot be used: it". `number` counts from 1;
    /// `id` is the `kid` of the key.
    case unusableKey(path: String, number: Int, id: String? = nil, reason: String)
    case tooManyKeys(limit: Int)
    case noKeys

    /// The file with the error. Nil for errors that concern all files together.
    public var path: String? {
        switch self {
        case .file(let path, _), .secretTooShort(let path, _), .secretIsPEM(let path),
            .unusable(let path, _),
            .unusableKey(let path, _, _, _):
            path
        case .tooManyKeys, .noKeys: nil
        }
    }

    public var description: String {
        switch self {
        case .file(let path, let reason): "\(path): \(reason)."
        case .secretTooShort(let path, let bytes):
            "The secret in \(path) has \(bytes) bytes without the last newline; "
                + "it must have at least \(SecretFile.secretByteMinimum)."
        case .secretIsPEM(let path):
            "\(path) contains a PEM key, not a secret; give it as a public key file."
        case .unusable(let path, let reason): "\(path) cannot be used: it \(reason)."
        case .unusableKey(let path, let number, let id, let reason):
            "Key \(number) of \(path)\(id.map { ", \(String(reflecting: $0))," } ?? "") "
                + "cannot be used: it \(reason)."
        case .tooManyKeys(let limit): "There are more than \(limit) keys to verify tokens with."
        case .noKeys:
            "There is no key to verify tokens with: give a secret, a public key or a key set."
        }
    }
}

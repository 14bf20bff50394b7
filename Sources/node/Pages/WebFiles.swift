internal import Bytes

/// All files of the web pages.
///
/// HTML files name their assets `/assets/HASH/…`. `HASH` stands for the version: a hash of all
/// files. So the browser may keep an asset for ever, and a page never mixes files of two versions.
struct WebFiles: Sendable {
    let version: String
    private let files: [String: WebFile]

    /// - Parameter contents: the bytes of each file, by its name.
    init(_ contents: [String: [UInt8]]) {
        var hash = StableHash.of()
        for (name, bytes) in contents.sorted(by: { $0.key < $1.key }) {
            hash = Array(name.utf8).withUnsafeBufferPointer { StableHash.fnv1a($0, from: hash) }
            hash = bytes.withUnsafeBufferPointer { StableHash.fnv1a($0, from: hash) }
        }
        let version = String(StableHash.mix(hash), radix: 16)
        self.version = version
        self.files = contents.reduce(into: [:]) { files, content in
            files[content.key] = WebFile(
                name: content.key, body: Self.body(of: content.key, content.value, version))
        }
    }

    subscript(_ name: some StringProtocol) -> WebFile? { self.files[String(name)] }

    /// Writes the version into a page, and makes pages, scripts and style sheets smaller.
    private static func body(of name: String, _ bytes: [UInt8], _ version: String) -> [UInt8] {
        let isPage = name.hasSuffix(".html")
        guard isPage || name.hasSuffix(".js") || name.hasSuffix(".css") else { return bytes }
        let compacted = CompactSource.compact(bytes)
        guard isPage else { return compacted }
        let parts = String(decoding: compacted, as: UTF8.self).parts(separatedBy: "HASH")
        return Array(parts.joined(separator: version).utf8)
    }
}

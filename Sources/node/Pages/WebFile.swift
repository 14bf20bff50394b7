internal import Bytes
internal import CPages
internal import HTTPWire

/// A file of the web pages, with everything that its responses need. It is prepared once, at the
/// start.
struct WebFile: Sendable {
    let contentType: StaticString
    let body: [UInt8]
    /// Nil where compression saves less than a tenth: images are compressed already.
    let gzipBody: [UInt8]?
    let tag: EntityTag
    /// Another representation needs another tag (RFC 9110 section 8.8.3.3). Otherwise a cache could
    /// join parts of both.
    let gzipTag: EntityTag

    init(name: String, body: [UInt8]) {
        self.contentType = Self.contentType(of: name)
        self.body = body
        let compressed = Gzip.compress(body)
        self.gzipBody = compressed.count * 10 < body.count * 9 ? compressed : nil
        self.tag = EntityTag(body)
        self.gzipTag = EntityTag(compressed)
    }

    /// The content of all files that the program contains, by their names.
    static func embedded() -> [String: [UInt8]] {
        var count = 0
        let files = UnsafeBufferPointer(start: web_files(&count), count: count)
        return Dictionary(
            uniqueKeysWithValues: files.map { file in
                let bytes = UnsafeBufferPointer(start: file.bytes, count: file.count)
                return (String(cString: file.name), Array(bytes))
            })
    }

    private static func contentType(of name: String) -> StaticString {
        let types: [(suffix: String, type: StaticString)] = [
            (".html", "text/html; charset=utf-8"),
            (".css", "text/css; charset=utf-8"),
            (".js", "text/javascript; charset=utf-8"),
            (".svg", "image/svg+xml"),
            (".png", "image/png"),
            (".webmanifest", "application/manifest+json"),
        ]
        return types.first { name.hasSuffix($0.suffix) }?.type ?? "application/octet-stream"
    }
}

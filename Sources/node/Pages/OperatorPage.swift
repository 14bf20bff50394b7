public import Gateway
internal import HTTPWire

/// Serves the operators' page of the admin listener.
///
/// Its files have a version of their own, because neither listener serves the pages of the other.
public struct OperatorPage: Sendable {
    private static let icons: Set = ["icon.svg", "icon-192.png"]

    private let files: WebFiles

    public init() { self.init(WebFile.embedded()) }

    /// - Parameter contents: the bytes of all embedded files, by their names.
    init(_ contents: [String: [UInt8]]) {
        self.files = WebFiles(
            contents.filter { Self.isOwn($0.key) || Self.icons.contains($0.key) })
    }

    static func isOwn(_ name: String) -> Bool { name.hasPrefix("admin.") || name == "dom.js" }

    /// - Parameter request: a GET or HEAD request whose source is checked.
    /// - Returns: nil for a path that has no file.
    public func response(to request: HTTPRequest) -> HTTPResponse? {
        let parts = request.path.split(separator: "/")
        switch (parts.first, parts.count) {
        case (nil, _):
            let policy = Pages.contentSecurityPolicy(host: nil)
            return self.files["admin.html"].map {
                Pages.response($0, request, Pages.pageFields(policy: policy))
            }
        case ("assets", 3) where !parts[2].hasSuffix(".html"):
            let isCurrent = parts[1] == self.files.version
            let caching = isCurrent ? "public, max-age=31536000, immutable" : "no-store"
            return self.files[parts[2]].map {
                Pages.response($0, request, [HTTPField("Cache-Control", caching)])
            }
        case ("icon.svg", 1): return self.icon("icon.svg", request)
        case ("favicon.ico", 1): return self.icon("icon-192.png", request)
        default: return nil
        }
    }

    private func icon(_ name: String, _ request: HTTPRequest) -> HTTPResponse? {
        self.files[name].map {
            Pages.response($0, request, [HTTPField("Cache-Control", "no-cache")])
        }
    }
}

import Bytes

/// The names under which a cluster keeps in Redis what it knows of itself. All but the mailboxes have the hash tag `{c}`, so that one
/// script can have them.
struct ClusterRedisKeys: Sendable {
    /// The cluster's name: 1 to 32 of `a-z 0-9 -`.
    let cluster: String

    /// A hash: the number of the view that holds, its text, and a hash of that.
    var view: ByteString { ByteString("\(self.cluster):{c}:view") }
    /// A list: the texts of the latest views, oldest first.
    var views: ByteString { ByteString("\(self.cluster):{c}:views") }
    /// A stream: what happened in the cluster.
    var events: ByteString { ByteString("\(self.cluster):{c}:events") }

    /// A hash: what a node says of itself, and when it beat last.
    func node(_ incarnation: UInt64) -> ByteString {
        ByteString("\(self.cluster):{c}:node:\(Self.text(incarnation))")
    }

    /// A text that ends by itself: the process that goes by this name.
    func holder(of name: String) -> ByteString {
        ByteString("\(self.cluster):{c}:name:\(PercentEncoding.encode(name))")
    }

    /// The channel through which a node gets its mail.
    func mailbox(_ incarnation: UInt64) -> ByteString {
        ByteString("\(self.cluster):{n:\(Self.text(incarnation))}:mail")
    }

    static func text(_ incarnation: UInt64) -> String { String(incarnation, radix: 36) }
}

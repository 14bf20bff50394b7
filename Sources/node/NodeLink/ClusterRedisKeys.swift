import Bytes

/// The Redis keys of a cluster's own state. All except the mailboxes have the hash tag `{c}`, so
/// that one script can access them.
struct ClusterRedisKeys: Sendable {
    /// The cluster's name: 1 to 32 characters of `a-z 0-9 -`.
    let cluster: String

    /// A hash with the current view: its number, its text, and a hash of the text.
    var view: ByteString { ByteString("\(self.cluster):{c}:view") }
    /// A list with the texts of the latest views, oldest first.
    var views: ByteString { ByteString("\(self.cluster):{c}:views") }
    /// A stream of the cluster's events.
    var events: ByteString { ByteString("\(self.cluster):{c}:events") }
    /// A text: when an incident that all nodes notice was last recorded, by Redis' clock.
    var incident: ByteString { ByteString("\(self.cluster):{c}:incident") }
    /// A text: the source of a copy into this cluster that is incomplete. No node may join.
    var copy: ByteString { ByteString("\(self.cluster):{c}:copy") }
    /// An expiring text: the process that copies.
    var copyLock: ByteString { ByteString("\(self.cluster):{c}:copy-lock") }

    /// A hash with a node's record and the time of its last heartbeat.
    func node(_ incarnation: UInt64) -> ByteString {
        ByteString("\(self.cluster):{c}:node:\(Self.text(incarnation))")
    }

    /// An expiring text: the process that holds this node name.
    func holder(of name: String) -> ByteString {
        ByteString("\(self.cluster):{c}:name:\(PercentEncoding.encode(name))")
    }

    /// The channel on which a node receives messages.
    func mailbox(_ incarnation: UInt64) -> ByteString {
        ByteString("\(self.cluster):{n:\(Self.text(incarnation))}:mail")
    }

    static func text(_ incarnation: UInt64) -> String { String(incarnation, radix: 36) }
}

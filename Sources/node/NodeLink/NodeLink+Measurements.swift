public import Cluster
import EventLoop
import Synchronization

extension NodeLink {
    /// The link's state for metrics. Unlike `clusterStatus()` it does not wait for the loop, so
    /// that metrics are available while the loop is stuck.
    public struct Measurements: Sendable {
        /// This node's incarnation.
        public var localNode: UInt64 = 0
        /// The view that this node follows.
        public var view: View?
        /// Redis executes this node's commands.
        public var isRedisAvailable = false
        /// How often the mailbox was subscribed again because no probe returned.
        public var mailboxResubscriptions = 0
        /// When this node's own probe last returned through its mailbox, in the milliseconds of
        /// `NodeAgent.now`.
        var probeReturnedAt: Int64 = 0

        /// The time since this node's own probe returned through its mailbox.
        public var probeAge: Duration {
            .milliseconds(max(0, NodeAgent.now - self.probeReturnedAt))
        }
    }

    /// The state at most 100 ms ago, unless the first loop is stuck.
    public var measurements: Measurements { self.agent.measurements.withLock { $0 } }
}

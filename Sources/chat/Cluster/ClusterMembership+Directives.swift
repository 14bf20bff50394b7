/// The states of a membership, the messages from Redis to it, and its directives to the node.
extension ClusterMembership {
    /// Redis' reply to a heartbeat.
    public struct HeartbeatReply: Sendable {
        /// Redis' clock, in milliseconds.
        public let time: Int64
        /// The number of the stored view; 0 if there never was one.
        public let number: Int
        /// The stored views that this node does not know, oldest first; the last one is current.
        /// Empty if all nodes have left.
        public let views: [View]
        /// The time of every other node's last heartbeat, by Redis' clock.
        public let heartbeats: [UInt64: Int64]
        /// This process holds its node name, so no other living node uses it.
        public let holdsName: Bool

        public init(
            time: Int64, number: Int, views: [View], heartbeats beats: [UInt64: Int64],
            holdsName hasName: Bool = true
        ) {
            self.time = time
            self.number = number
            self.views = views
            self.heartbeats = beats
            self.holdsName = hasName
        }
    }

    /// The reason for a new view, for the log and for the cluster's event stream.
    public enum Reason: String, Sendable {
        case joins, dies, moves, drains, stays, leaves, restores
    }

    /// A view that replaces another one, unless another node's proposal was first.
    public struct Proposal: Sendable, Equatable {
        /// Nil if no node is left.
        public let view: View?
        /// The number of the replaced view. Redis accepts the proposal only while that view is
        /// current.
        public let replacing: Int
        public let reason: Reason
        /// The node that joins, leaves or changes.
        public let incarnation: UInt64
        /// The shards that get other owners with this view or, at the end of a rebalance, got them
        /// in its steps. Empty in the steps themselves.
        public var moves: [View.Move] = []
        /// A step of a rebalance, which is no event of its own.
        public var isStep = false
        /// If set, Redis accepts the proposal only if this node's last heartbeat is at least this
        /// old, in milliseconds.
        public let age: Int64?

        /// The number of the stored view after the proposal was accepted.
        public var number: Int { self.view?.number ?? self.replacing + 1 }
    }

    /// An action that the node must perform.
    public enum Directive: Sendable, Equatable {
        /// Send a heartbeat and ask for the current view.
        case sendHeartbeat
        case propose(Proposal)
        /// The node's loops follow this view. Views arrive in order.
        case follow(View)
        /// The node's loops follow this view under a new incarnation, because the old one was
        /// evicted.
        case rejoin(UInt64, View)
        /// Check whether the mailbox of that node has a subscriber, and report it with
        /// `mailbox(of:hasSubscriber:at:)`.
        case probe(UInt64)
        /// Tell the other nodes to read the view.
        case announceView
    }
}

/// The states of a membership.
extension ClusterMembership {
    /// The place in the view that this process wants.
    enum Intent: Sendable, Equatable {
        /// A node that accepts clients. The last request to drain may have been refused, because no
        /// other node accepts clients.
        case serve(isDrainRefused: Bool)
        /// A node that hands over its shards. Without force, another node must accept clients.
        case drain(isForced: Bool)
        /// No node of the view. This is final.
        case leave
    }

    /// Whether this process held its name when the last heartbeat was answered.
    enum NameState: Sendable {
        /// No heartbeat was answered.
        case unclaimed
        /// - Parameter wasTaken: another process held it before.
        case held(wasTaken: Bool)
        /// Another process holds it.
        case taken

        var isHeld: Bool { if case .held = self { true } else { false } }

        /// Another process holds the name, or held it since this one started.
        var wasTaken: Bool {
            switch self {
            case .unclaimed: false
            case .held(let wasTaken): wasTaken
            case .taken: true
            }
        }
    }

    /// This node's knowledge at the time of a heartbeat.
    struct HeartbeatFacts: Sendable {
        var incarnation: UInt64 = 0
        /// The highest number of a view that was mentioned.
        var newestNumberSeen = 0
    }
}

/// The progress of a drain.
extension ClusterMembership {
    /// The stored view has this node as draining.
    public var isDrainStored: Bool {
        self.storedView?.node(self.localNode.incarnation)?.isDraining == true
    }

    /// No shard is left to hand over, or no other node can take one.
    public var hasHandedOver: Bool {
        guard let view = self.view else { return true }
        return !view.ownsShards(self.localNode.incarnation) || view.nodes.allSatisfy(\.isDraining)
    }
}

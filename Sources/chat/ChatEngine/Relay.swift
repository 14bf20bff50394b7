public import ChatModel
public import Cluster

/// Carries envelopes to the other nodes of a cluster. Redis implements this port. A single node has
/// none.
public protocol Relay: AnyObject, Sendable {
    /// On the loop with this number: sends envelopes to loops of other nodes. The receiver notices
    /// lost envelopes and repairs them.
    func send(_ envelopes: [Envelope], from loop: Int)

    /// On the sender's loop: sends a message to a loop of another node. A message above the size
    /// limit is dropped.
    func send(_ message: RemoteLoopMessage, to node: UInt64, from sender: LoopID)

    /// From any thread: a view with this number exists or existed, and the loops follow an earlier
    /// one.
    func viewMentioned(number: Int)

    /// From any thread: how many microseconds this node's wall clock is ahead of the clock that all
    /// nodes share. Nil if it is unknown.
    var clockOffset: Int64? { get }

    /// On the loop with this number: whether its store can publish in the step that stores a write.
    func storePublishesWithWrite(of loop: Int) -> Bool

    /// Converts envelopes to packets that the store publishes in the step that stores a write. Call
    /// it on the loop with this number.
    ///
    /// - Returns: one publication for each packet.
    func publications(of envelopes: [Envelope], from loop: Int) -> [Publication]
}

extension Relay {
    public var clockOffset: Int64? { nil }
}

/// The node's side of a relay. Every method may be called from any thread.
public protocol RelayReceiver: AnyObject, Sendable {
    /// An envelope for one of the node's loops.
    func receive(_ envelope: Envelope)
    /// A message from a loop of another node.
    func receive(_ message: RemoteLoopMessage, from node: UInt64)
    /// The loops follow this view; views arrive in order.
    func follow(_ view: View)
    /// The node was evicted and continues under another incarnation.
    func rejoin(as incarnation: UInt64, in view: View)
    /// Whether the other nodes have evicted this one while it cannot reach Redis: they serve its
    /// clients.
    func evictionChanged(isEvicted: Bool)
    /// Recent messages of other nodes may be lost.
    func messagesMayBeLost()
    /// This loop's connection to the store is a new one, and it may lead to a store that lost data.
    func storeMayHaveLostData(on loop: Int)
    /// Reports why no messages arrive from other nodes, in a sentence; nil if they do.
    func linkProblemChanged(_ reason: String?)
}

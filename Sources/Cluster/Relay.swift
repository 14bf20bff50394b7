public import ChatModel

/// What carries mail to the other nodes of a cluster: the port that Redis fills. A node that stands alone has none.
public protocol Relay: AnyObject, Sendable {
    /// On the loop of this number: sends what is for loops of other nodes. Whatever does not arrive is lost mail, which its receiver misses.
    func send(_ envelopes: [Envelope], from loop: Int)

    /// On the sender's loop: sends a letter to another node. One that is too long for the way is lost.
    func send(_ letter: RemoteLoopMessage, to node: UInt64, from sender: LoopID)

    /// From any thread: there is, or was, a view of this number, and the loops go by an earlier one.
    func viewMentioned(number: Int)

    /// On the loop of this number: whether its store can let other nodes hear of what it stores in the same step.
    func storePublishesWithWrite(of loop: Int) -> Bool

    /// On the loop of this number: the same mail as a store can carry it, a notice for each node.
    func publications(of news: [Envelope], from loop: Int) -> [Publication]
}

/// What a relay tells the node: any thread may call it.
public protocol RelayReceiver: AnyObject, Sendable {
    /// Mail for one of the node's loops.
    func receive(_ envelope: Envelope)
    /// A letter from another node.
    func receive(_ letter: RemoteLoopMessage, from node: UInt64)
    /// The loops go by this view from here on; views come in order.
    func follow(_ view: View)
    /// The node was taken for dead and goes on under another incarnation.
    func rejoin(as incarnation: UInt64, in view: View)
    /// Whatever other nodes have sent in the last moments may not have come.
    func messagesMayBeLost()
    /// The connection of this loop to the store is another than before, and what it leads to may have forgotten something.
    func storeMayHaveLostData(on loop: Int)
    /// Whether mail flows; nil: it does. The sentence says what is wrong.
    func linkProblemChanged(_ reason: String?)
}

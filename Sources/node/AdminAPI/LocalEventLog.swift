internal import Bytes
internal import JSON
internal import NodeLink
internal import Synchronization

/// The events of a node without a cluster: its starts and stops, operators' actions, and failures
/// of its store. The log keeps the newest ones in memory and, if the store is a file, also in a
/// file next to it.
public final class LocalEventLog: Sendable {
    private struct State {
        var events: [NodeLink.Event]
    }

    static let limit = 1000

    private let state: Mutex<State>
    /// Stores an event's id and text.
    private let store: @Sendable (String, String) -> Void

    /// - Parameters:
    ///   - stored: the ids and texts of earlier events, oldest first. Unreadable ones are skipped.
    ///   - store: stores an event; it may fail, because the event is in memory as well.
    public init(
        _ stored: [(id: String, text: String)] = [],
        store: @escaping @Sendable (String, String) -> Void = { _, _ in }
    ) {
        let events = stored.compactMap { entry -> NodeLink.Event? in
            guard let members = (try? JSONTree(parsing: entry.text))?.members else { return nil }
            return NodeLink.Event(
                id: entry.id,
                details: members.compactMap { member in
                    member.value.stringValue.map { .init(member.name, $0) }
                })
        }
        self.state = Mutex(State(events: events.suffix(Self.limit)))
        self.store = store
    }

    /// Oldest first.
    var events: [NodeLink.Event] { self.state.withLock { $0.events } }

    func append(_ details: [NodeLink.Event.Detail], at now: Timestamp) {
        let id = self.state.withLock { state in
            // The clock may have been set back; ids still increase.
            let last = state.events.last?.id ?? "0-0"
            let newest = NodeLink.Event.order(of: last)
            let milliseconds = max(UInt64(clamping: now.milliseconds), newest.0)
            let number = milliseconds == newest.0 ? newest.1 + 1 : 0
            let event = NodeLink.Event(id: "\(milliseconds)-\(number)", details: details)
            state.events.append(event)
            if state.events.count > Self.limit { state.events.removeFirst() }
            return event.id
        }
        let members = details.map { JSONTree.ObjectMember($0.name, .string($0.value)) }
        self.store(id, JSONTree.object(members).text)
    }
}

extension NodeLink.Event {
    /// Whether this event has a higher id.
    func isAfter(_ id: String) -> Bool {
        Self.order(of: self.id) > Self.order(of: id)
    }
}

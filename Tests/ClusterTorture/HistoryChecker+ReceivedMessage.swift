extension HistoryChecker {
    /// A message as a client received it.
    public struct ReceivedMessage: Sendable, Equatable {
        public var number: Int
        public var sender: String
        /// The client's own id; pages of history do not have it.
        public var localID: String?
        public var content: String
        public var time: String
        public var state: State

        /// The states, in the order in which a message goes through them.
        public enum State: Int, Sendable, Comparable {
            case sent, edited, deleted

            public static func < (first: Self, second: Self) -> Bool {
                first.rawValue < second.rawValue
            }
        }

        public init(
            _ number: Int, by sender: String, as localID: String?, _ content: String,
            at time: String, _ state: State = .sent
        ) {
            self.number = number
            self.sender = sender
            self.localID = localID
            self.content = content
            self.time = time
            self.state = state
        }
    }
}

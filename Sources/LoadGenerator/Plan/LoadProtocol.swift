/// What one member speaks, and over what.
enum LoadProtocol {
    /// Frames as they are.
    case raw
    case conversations, pets, chats, rooms, agents
    /// Rooms without a WebSocket.
    case roomsPolling
}

extension LoadPlan {
    /// Who publishes always has a WebSocket: a request would wait for the poll before it.
    func loadProtocol(of member: Int, in group: Int) -> LoadProtocol {
        let place = member - self.members(of: group).lowerBound
        let publishes = place < self.publishersPerGroup
        switch self.adapter {
        case .raw: return .raw
        case .confab: return .conversations
        case .pets: return .pets
        case .chats: return .chats
        case .rooms: return .rooms
        case .agents: return .agents
        case .roomsPolling: return publishes ? .rooms : .roomsPolling
        case .mixed:
            return publishes
                ? .conversations : Self.mixedProtocols[place % Self.mixedProtocols.count]
        }
    }

    private static let mixedProtocols: [LoadProtocol] = [
        .conversations, .pets, .chats, .rooms, .agents,
    ]
}

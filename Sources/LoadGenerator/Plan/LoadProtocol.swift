import Configuration

/// The protocol and the transport of one member.
enum LoadProtocol {
    /// Raw frames.
    case raw
    case conversations, pets, chats, rooms, agents
    /// Rooms over long polling.
    case roomsPolling
}

extension LoadPlan {
    /// Publishers always have a WebSocket, because a polling request would wait for the previous
    /// one.
    func loadProtocol(of member: Int, in group: Int) -> LoadProtocol {
        let index = member - self.members(of: group).lowerBound
        let publishes = index < self.publishersPerGroup
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
                ? .conversations : Self.mixedProtocols[index % Self.mixedProtocols.count]
        }
    }

    private static let mixedProtocols: [LoadProtocol] = [
        .conversations, .pets, .chats, .rooms, .agents,
    ]
}

public import ChatModel
public import Identity

extension Person {
    /// Who a token says its bearer is, with the agent that it names where that is not the user.
    public init(of identity: Identity) {
        self.init(
            id: UserID(token: identity.user), name: identity.displayName,
            agent: identity.agent == identity.user ? nil : identity.agent)
    }
}

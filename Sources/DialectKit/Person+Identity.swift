public import ChatModel
public import Identity

extension UserID {
    /// Whom a token names: a guest token an anonymous user.
    public init(of identity: Identity) {
        self =
            identity.guest == nil
            ? UserID(tokenSubject: identity.user) : UserID(anonymous: identity.user)
    }
}

extension Person {
    /// Who a token says its bearer is, with the agent that it names where that is not the user.
    public init(of identity: Identity) {
        let id = UserID(of: identity)
        self.init(
            id: id, name: identity.displayName,
            agent: identity.agent == id.displayID ? nil : identity.agent)
    }
}

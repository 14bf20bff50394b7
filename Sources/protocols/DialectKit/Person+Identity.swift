public import ChatModel
public import Identity

extension UserID {
    /// The user of a token; the bearer of a guest token is an anonymous user.
    public init(of identity: Identity) {
        guard identity.guest != nil else {
            self.init(tokenSubject: identity.user)
            return
        }
        guard let key = identity.guestKey else {
            self.init(anonymous: identity.user)
            return
        }
        self.init(guest: identity.user, key: key, provenBy: .token)
    }
}

extension Person {
    /// The bearer of a token, with the token's agent if it is not the user itself.
    public init(of identity: Identity) {
        let id = UserID(of: identity)
        self.init(
            id: id, name: identity.displayName,
            agent: identity.agent == id.displayID ? nil : identity.agent)
    }
}

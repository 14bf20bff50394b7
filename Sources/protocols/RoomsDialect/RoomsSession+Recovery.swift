import Bytes
import ChatModel
import DialectKit
import SocketIO

/// Resuming in the rooms of an earlier connection.
extension RoomsSession {
    /// Returns the token and the offset if a node of the cluster issued them to this user.
    func validated(_ recovery: SocketRecovery) -> (RecoveryToken, RoomOffset)? {
        guard let token = RecoveryToken(recovery.pid, self.context.key),
            token.tenant == self.tenant,
            self.mayRecover(token),
            !self.context.closedSessions.contains(token.sid),
            let offset = recovery.offset.flatMap({ RoomOffset($0) })
        else { return nil }
        // A client without rooms has nothing to resume. An offset from before a room was joined
        // would omit that room.
        guard !offset.positions.isEmpty,
            self.context.sessionRooms.matches(offset.positions.map(\.room), of: token.sid)
        else { return nil }
        guard self.isAnonymous else { return offset.anonymousUser == nil ? (token, offset) : nil }
        guard let anonymousUser = offset.anonymousUser,
            self.me == nil || self.me?.person.id.name == anonymousUser.id.name
        else { return nil }
        return (token, offset)
    }

    /// The user that may resume this session. A client without a token is the guest with its key,
    /// and gives its name later.
    var recoverableUser: UserID? {
        self.hasToken
            ? self.me?.person.id : UserID(guest: "", key: self.guestKey, provenBy: .connection)
    }

    private func mayRecover(_ token: RecoveryToken) -> Bool {
        guard !self.hasToken, self.me == nil else { return token.user == self.recoverableUser }
        return token.user?.isConnectionGuest == true
    }

    /// Enters the rooms of the offset, each after its last delivered message. All of them are in
    /// the offset at once, so that none is lost if the connection breaks again before the last one
    /// is entered.
    mutating func recover(_ offset: RoomOffset, into steps: inout SessionSteps) {
        if self.me == nil, let anonymousUser = offset.anonymousUser {
            let person = Person(id: self.guest(anonymousUser.id.name), name: anonymousUser.name)
            self.me = Principal(person: person, isAdmin: false)
        }
        for position in offset.positions {
            self.rooms[position.room] = Room(deliveredThrough: position.through)
        }
        self.sendOffset(into: &steps)
        self.enter(offset.positions, .recover, into: &steps)
    }

    /// Continues on this node in the rooms where the session was on another.
    mutating func resumeTransferredRooms(into steps: inout SessionSteps) {
        let positions = exchange(&self.transferredPositions, with: [])
        for position in positions {
            self.rooms[position.room] = Room(deliveredThrough: position.through)
        }
        self.enter(positions, .transfer, into: &steps)
    }

    private func enter(
        _ positions: [RoomOffset.RoomPosition], _ kind: RoomsRequestKind,
        into steps: inout SessionSteps
    ) {
        guard let me = self.me else { return }
        for position in positions {
            steps.append(
                .enter(
                    self.key(position.room), self.joinRequest(for: position.room, as: me),
                    from: .after(position.through),
                    RequestTag(
                        kind: kind.rawValue, number: self.connectCount, conversation: position.room
                    )))
        }
    }
}

import Bytes
import ChatCore
import ChatEngine
import ChatModel
import SeededRandom

/// Random values of every kind of item.
struct RandomValues {
    var generator: SeededGenerator

    init(seed: UInt64) {
        self.generator = SeededGenerator(seed: seed)
    }

    mutating func happens() -> Bool { self.generator.next(below: 2) == 0 }

    mutating func number() -> Int {
        Int(truncatingIfNeeded: self.generator.next() >> UInt64(self.generator.next(below: 64)))
    }

    mutating func count() -> Int {
        Int(self.generator.next() >> UInt64(11 + self.generator.next(below: 53)))
    }

    mutating func slot() -> UInt32 {
        self.happens()
            ? .max
            : UInt32(
                truncatingIfNeeded: self.generator.next()
                    >> UInt64(32 + self.generator.next(below: 32)))
    }

    mutating func timestamp() -> Timestamp {
        Timestamp(
            milliseconds: self.generator.number(Int64(-62_167_219_200_000)...253_402_300_799_999))
    }

    mutating func text() -> String {
        let letters: [Unicode.Scalar] = [
            "a", "Z", "0", " ", "\u{0}", "\u{1}", "\u{7F}", "é", "\u{301}", "߿", "€", "\u{FFFF}",
            "🚀", "\u{10FFFF}",
        ]
        let length = self.generator.next(below: self.happens() ? 8 : 200)
        var text = String.UnicodeScalarView()
        for _ in 0..<length {
            text.append(letters[self.happens() ? 0 : self.generator.next(below: letters.count)])
        }
        return String(text)
    }

    mutating func byteString() -> ByteString { ByteString(self.text()) }

    mutating func list<Element>(_ make: (inout Self) -> Element) -> [Element] {
        (0..<self.generator.next(below: 4)).map { _ in make(&self) }
    }

    mutating func user() -> UserID {
        self.happens()
            ? UserID(tokenSubject: self.byteString()) : UserID(anonymous: self.byteString())
    }

    mutating func person() -> Person {
        Person(
            id: self.user(), name: self.byteString(),
            agent: self.happens() ? self.byteString() : nil)
    }

    mutating func actor() -> Principal { Principal(person: self.person(), isAdmin: self.happens()) }

    mutating func joinRequest() -> JoinRequest {
        JoinRequest(
            principal: self.actor(), isListedInToken: self.happens(),
            template: self.template(), marksHistoryRead: self.happens())
    }

    mutating func body() -> MessageBody {
        let minted = ClientMessageID(
            mintedFrom: self.generator.next(), count: self.generator.next())
        let clientID =
            self.happens()
            ? minted : self.happens() ? ClientMessageID(stored: self.byteString()) : nil
        return MessageBody(
            author: self.person(), clientMessageID: clientID, content: self.text(),
            metadata: self.happens() ? Array(self.text().utf8) : nil,
            annotations: self.happens() ? self.annotations() : nil)
    }

    /// Nil if it has none of the four.
    mutating func annotations() -> MessageAnnotations? {
        MessageAnnotations(
            reply: self.happens() ? Reply(to: self.number(), thread: self.count()) : nil,
            mentions: self.happens()
                ? Mentions(
                    includesEveryone: self.happens(), users: self.list { $0.user() },
                    nonMembers: self.list { $0.user() }, isByAdmin: self.happens()) : nil,
            reactions: self.happens()
                ? Reactions(
                    self.list { random in
                        Reactions.UserGroup(random.emoji(), users: random.list { $0.user() })
                    }) : nil, pin: self.happens() ? self.pin() : nil)
    }

    mutating func emoji() -> Emoji { Emoji(stored: self.byteString()) }

    mutating func pin() -> PinState {
        PinState(isPinned: self.happens(), by: self.person(), at: self.timestamp())
    }

    /// The text of an edit is that of the message.
    mutating func amendment(of message: Message) -> Amendment {
        switch self.generator.next(below: 4) {
        case 0: .edited(content: message.body.content)
        case 1: .deleted
        case 2:
            .reacted(
                self.list { ReactionChange($0.emoji(), by: $0.user(), isOn: $0.happens()) })
        default: .pinned(self.pin())
        }
    }

    mutating func message() -> Message {
        let state = self.generator.pick([Message.State.asSent, .edited, .deleted])!
        return Message(
            sequence: self.count(), revision: self.count(), sentAt: self.timestamp(), state: state,
            body: self.body())
    }

    mutating func member() -> Member {
        var member = Member(
            user: self.user(), name: self.byteString(),
            agent: self.happens() ? self.byteString() : nil,
            role: self.generator.pick([.member, .creator, .admin, .removed, .departed])!,
            joinedAt: self.timestamp(),
            readCursor: self.count(), deliveredCursor: self.count())
        member.isNameGiven = self.happens()
        return member
    }

    mutating func presenceChange() -> PresenceChange {
        PresenceChange(person: self.person(), isOnline: self.happens(), at: self.timestamp())
    }

    mutating func range() -> ClosedRange<SequenceNumber> {
        let first = self.count() / 2
        return first...first + self.count() / 2
    }

    mutating func command() -> ChatCommand {
        switch self.generator.next(below: 19) {
        case 17: .update(self.update(), by: self.actor())
        case 18: .receipts(by: self.user())
        case 13: .react(self.number(), self.emoji(), isOn: self.happens(), by: self.actor())
        case 14: .pin(self.number(), by: self.actor())
        case 15: .unpin(self.number(), by: self.actor())
        case 16:
            .pins(by: self.actor(), readAccess: self.happens() ? .anyone : .membersOnly)
        case 11: .addMember(self.person(), by: self.actor())
        case 12: .removeMember(self.user(), by: self.actor())
        case 0: .joinAndSubscribe(self.joinRequest())
        case 1: .post(self.body())
        case 2: .edit(self.number(), content: self.text(), by: self.actor())
        case 3: .delete(self.number(), by: self.actor())
        case 4: .read(self.list { $0.number() }, by: self.user())
        case 5: .typing(self.happens(), by: self.person())
        case 6: .join(self.joinRequest())
        case 7: .leave(self.user())
        case 8: .end(by: self.actor())
        case 9:
            .create(
                NewConversation(
                    ConversationRecord(
                        self.template(), title: self.text(), dialectData: ByteString(self.text()),
                        pinPolicy: self.happens() ? .members : .creator, creator: nil,
                        createdAt: self.timestamp()),
                    creator: self.actor(), members: self.list { $0.person() }))
        default:
            .describe(
                by: self.actor(), readAccess: self.happens() ? .anyone : .membersOnly,
                members: self.memberSelection())
        }
    }

    mutating func update() -> ConversationUpdate {
        var update = ConversationUpdate(origin: self.byteString())
        if self.happens() { update.title = self.text() }
        if self.happens() { update.dialectData = self.byteString() }
        if self.happens() { update.joinPolicy = self.happens() ? .open : .closed }
        if self.happens() { update.isListed = self.happens() }
        return update
    }

    mutating func writeChange() -> Write.Change {
        switch self.generator.next(below: 7) {
        case 6: return .update(self.conversationDetails().record)
        case 0: return .message(self.message())
        case 1:
            let message = self.message()
            return .amend(
                message, self.amendment(of: message), at: self.happens() ? self.timestamp() : nil)
        case 2: return .remove(self.user())
        case 3: return .cursors(self.user(), read: self.count(), delivered: self.count())
        case 4: return .end(at: self.timestamp())
        default: return .skip
        }
    }

    mutating func input() -> ConversationInput {
        switch self.generator.next(below: 9) {
        case 0: .unsubscribe(self.user())
        case 1:
            .attach(
                Attachment(
                    present: self.list { $0.person() }, joining: self.list { $0.person() },
                    knownOnline: self.list { $0.person() },
                    delivered: self.list { DeliveryReport(user: $0.user(), range: $0.range()) }))
        case 2: .detach
        case 3: .delivered(self.user(), self.range())
        case 4:
            .offerRetained(
                self.list {
                    RetainedWrite(revision: $0.count(), change: $0.writeChange(), storedAt: 0)
                })
        default: .command(self.command())
        }
    }

    mutating func error() -> ChatError {
        switch self.generator.next(below: 27) {
        case 24: .wasRemoved
        case 25: .closedIsUnlisted
        case 26: .noDescription
        case 18: .noSuchReplyTarget(self.number())
        case 19: .tooManyEmoji(limit: self.count())
        case 20: .tooManyReactions(limit: self.count())
        case 21: .mentionOfAllNotAllowed(limit: self.count())
        case 22: .tooManyPins(limit: self.count())
        case 23: .notPinned(self.number())
        case 16: .banned(self.text())
        case 15: .noSuchMember
        case 14: .idTaken
        case 13: .conversationExists
        case 0: .noSuchConversation
        case 1: .notAMember
        case 2: .accessDenied
        case 3: .conversationEnded
        case 4: .noSuchMessage(self.number())
        case 5: .messageDeleted(self.number())
        case 6: .notAllowed(self.text())
        case 7: .contentEmpty
        case 8: .contentTooLong(limit: self.count())
        case 9: .metadataTooLong(limit: self.count())
        case 10: .clientMessageIDInvalid
        case 11: .tooManyMembers(limit: self.count())
        case 12: .rateLimited(retryAfterSeconds: Double(self.generator.next(below: 100_000)) / 7)
        default: .unavailable
        }
    }

    mutating func joinResult() -> JoinResult {
        JoinResult(
            head: self.count(), oldest: self.count(), revision: self.count(),
            ended: self.happens() ? ConversationEnd(by: self.user(), at: self.timestamp()) : nil,
            present: self.list { $0.presenceChange() },
            presentCount: self.count(), isCrowd: self.happens())
    }

    mutating func template() -> ConversationTemplate {
        ConversationTemplate(
            origin: self.happens() ? "rooms" : ByteString(self.text()),
            joinPolicy: self.happens() ? .open : .closed, isListed: self.happens())
    }

    mutating func memberSelection() -> MemberSelection {
        switch self.generator.next(below: 3) {
        case 0: .shown(limit: self.count())
        case 1: .shownWithReaders(limit: self.count())
        default: .page(after: self.happens() ? self.user() : nil, limit: self.count())
        }
    }

    mutating func conversationDetails() -> ConversationDetails {
        var record = ConversationRecord(
            self.template(), title: self.text(),
            pinPolicy: self.happens() ? .members : .creator,
            creator: self.happens() ? self.user() : nil,
            createdAt: self.timestamp())
        record.dialectData = ByteString(self.text())
        record.updatedAt = self.timestamp()
        record.endedAt = self.happens() ? self.timestamp() : nil
        let members = self.list { $0.member() }
        var online = Set(self.list { $0.user() })
        for member in members where self.happens() { online.insert(member.user) }
        return ConversationDetails(
            record: record, head: self.count(), members: members, online: online,
            participantCount: self.count(), viewer: self.happens() ? self.member() : nil,
            readers: self.list { $0.member() },
            lastMessage: self.happens() ? self.message() : nil)
    }

    mutating func answer() -> ChatAnswer {
        switch self.generator.next(below: 10) {
        case 9:
            .receipts(
                ReceiptList(
                    own: ReceiptList.Receipt(self.member()),
                    highest: self.list { ReceiptList.Receipt($0.member()) }, total: self.count()))
        case 6: .pins(self.list { $0.message() })
        case 0: .joined(self.joinResult())
        case 1: .posted(self.message(), isRepeat: self.happens())
        case 2: .amended(self.message())
        case 3: .read(unknown: self.list { $0.number() })
        case 4: .done
        case 5: .described(self.conversationDetails())
        default: .failed(self.error())
        }
    }

    mutating func event() -> ChatEvent {
        switch self.generator.next(below: 17) {
        case 16:
            .updated(
                self.conversationDetails().record, by: self.person(), rev: self.count())
        case 13: .reacted(self.message())
        case 14: .pinned(self.message())
        case 15: .unpinned(self.message())
        case 0: .created
        case 1: .posted(self.message())
        case 2: .edited(self.message())
        case 3: .deleted(self.message())
        case 4: .joined(self.member())
        case 5: .renamed(self.member())
        case 6: .left(self.member(), at: self.timestamp())
        case 7: .ended(by: self.user(), at: self.timestamp())
        case 8: .typing(self.person(), self.happens())
        case 9: .read(self.person(), self.list { $0.number() }, through: self.count())
        case 10:
            .status(
                author: self.user(), self.happens() ? .read : .delivered, self.list { $0.number() },
                at: self.timestamp())
        case 11: .presence(self.list { $0.presenceChange() })
        default: .crowd(online: self.count(), self.list { $0.presenceChange() })
        }
    }

    mutating func key() -> ConversationKey {
        ConversationKey(tenant: self.byteString(), id: self.byteString())
    }

    mutating func item(about key: ConversationKey) -> Envelope.Item {
        let conversation = self.happens() ? key : self.key()
        return switch self.generator.next(below: 10) {
        case 0, 1, 2:
            .input(
                Envelope.Input(
                    conversation: conversation, input: self.input(),
                    request: RequestID(rawValue: self.generator.next()),
                    isRetry: self.happens(),
                    ownerSlot: self.slot(), feedSlot: self.slot(),
                    sendOrder: SendOrder(
                        number: self.generator.next(), after: self.generator.next())))
        case 3, 4:
            .answer(
                RequestID(rawValue: self.generator.next()), self.answer(), slot: self.slot())
        case 5: .notOwner(RequestID(rawValue: self.generator.next()))
        case 6: .reattach(conversation)
        case 7: .resynchronize
        case 8: .recoveryQuery(conversation)
        default:
            .event(
                Envelope.EventNotification(
                    conversation: conversation, event: self.event(), revision: self.count(),
                    answering: RequestID(rawValue: self.generator.next()),
                    feedSlot: self.slot()))
        }
    }

    mutating func envelope(from: UInt64, to: UInt64) -> Envelope {
        let key = self.key()
        return Envelope(
            from: LoopID(
                incarnation: from, loop: UInt16(truncatingIfNeeded: self.generator.next())),
            to: LoopID(incarnation: to, loop: UInt16(self.generator.next(below: 4))),
            number: self.generator.next(), view: self.count(),
            items: (0..<self.generator.next(below: 20)).map { _ in self.item(about: key) })
    }
}

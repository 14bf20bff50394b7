import Bytes
import ChatModel
import Testing

@Suite("The list of bans")
struct BanTests {
    private static let rex = ConversationKey(tenant: "acme", id: "rex")
    private static let ann = UserID(tokenSubject: "ann")

    private static func time(_ milliseconds: Int64) -> Timestamp {
        Timestamp(milliseconds: milliseconds)
    }

    private static func ban(
        _ user: ByteString, from conversation: ByteString? = nil, until: Int64? = nil,
        reason: String = ""
    ) -> Ban {
        Ban(
            Ban.Subject(tenant: "acme", user: user, conversation: conversation),
            until: until.map(Self.time), reason: reason, by: "op", since: Self.time(0))
    }

    @Test("keeps a user out of all conversations of the tenant, and of no other tenant")
    func wholeTenant() {
        let list = BanList([Self.ban("ann")])
        #expect(list.ban(of: Self.ann, in: "acme", at: Self.time(5)) != nil)
        #expect(list.ban(of: Self.ann, from: Self.rex, at: Self.time(5)) != nil)
        #expect(list.ban(of: Self.ann, in: "other", at: Self.time(5)) == nil)
        #expect(
            list.ban(
                of: Self.ann, from: ConversationKey(tenant: "other", id: "rex"), at: Self.time(5))
                == nil)
        #expect(list.ban(of: UserID(tokenSubject: "bob"), in: "acme", at: Self.time(5)) == nil)
    }

    @Test("keeps a user out of one conversation only")
    func oneConversation() {
        let list = BanList([Self.ban("ann", from: "rex")])
        #expect(list.ban(of: Self.ann, in: "acme", at: Self.time(5)) == nil)
        #expect(list.ban(of: Self.ann, from: Self.rex, at: Self.time(5)) != nil)
        let max = ConversationKey(tenant: "acme", id: "max")
        #expect(list.ban(of: Self.ann, from: max, at: Self.time(5)) == nil)
    }

    @Test("ignores a ban from its end on")
    func expiry() {
        let list = BanList([Self.ban("ann", until: 100), Self.ban("ann", from: "rex", until: 200)])
        #expect(list.ban(of: Self.ann, in: "acme", at: Self.time(99)) != nil)
        #expect(list.ban(of: Self.ann, in: "acme", at: Self.time(100)) == nil)
        #expect(list.ban(of: Self.ann, from: Self.rex, at: Self.time(100))?.until == Self.time(200))
        #expect(list.ban(of: Self.ann, from: Self.rex, at: Self.time(200)) == nil)
    }

    @Test("finds anonymous users by the id that others see, with a chosen or an assigned name")
    func anonymousUsers() {
        let list = BanList([Self.ban("guest:ann")])
        #expect(list.ban(of: UserID(anonymous: "ann"), in: "acme", at: Self.time(1)) != nil)
        #expect(list.ban(of: UserID(assigned: "ann"), in: "acme", at: Self.time(1)) != nil)
        #expect(list.ban(of: Self.ann, in: "acme", at: Self.time(1)) == nil)
        #expect(
            Set(UserID.all(displayed: "guest:ann"))
                == [UserID(anonymous: "ann"), UserID(assigned: "ann")])
        #expect(UserID.all(displayed: "ann") == [Self.ann])
    }

    @Test("names the users whose connections must be closed")
    func newlyBanned() {
        let old = BanList([Self.ban("ann", until: 100), Self.ban("bob", from: "rex")])
        let new = BanList([
            Self.ban("ann", until: 300), Self.ban("ann", from: "rex"), Self.ban("bob"),
            Self.ban("bob", from: "rex", until: 500), Self.ban("cat", until: 40),
        ])
        func subjects(at now: Int64) -> Set<Ban.Subject> {
            Set(new.newlyBanned(since: old, at: Self.time(now)))
        }
        let (annInRex, bob) = (Self.ban("ann", from: "rex").subject, Self.ban("bob").subject)
        #expect(subjects(at: 50) == [annInRex, bob])
        // The earlier ban has ended, and its user may have connected since.
        #expect(subjects(at: 150) == [annInRex, bob, Self.ban("ann").subject])
    }

    @Test("has a notice with the end and the reason")
    func notice() {
        #expect(Self.ban("ann").notice == "You are banned.")
        #expect(Self.ban("ann", reason: "Spam.").notice == "You are banned. Spam.")
        #expect(
            Self.ban("ann", from: "rex", until: 1_795_224_713_575).notice
                == "You are banned from conversation rex until 2026-11-21T01:31:54Z.")
    }
}

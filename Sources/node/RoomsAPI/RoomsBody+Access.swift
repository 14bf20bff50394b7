internal import Bytes
internal import ChatModel
internal import DialectKit
internal import Gateway
internal import HTTPWire
internal import Identity
internal import JSON
internal import RoomsDialect

/// The fields that say who may enter a conversation, who finds it, and who its members are.
extension RoomsBody {
    /// The maximum number of members in a request that creates a conversation.
    static let memberLimit = 100

    /// Nil if the field is missing.
    func access() throws(HTTPError) -> ConversationRecord.JoinPolicy? {
        switch try self.text("access") {
        case nil: nil
        case "open": .open
        case "closed": .closed
        default: throw .badRequest("access: must be \"open\" or \"closed\"")
        }
    }

    /// Nil if the field is missing.
    func listed() throws(HTTPError) -> Bool? {
        do throws(FieldError) {
            return try self.document.optionalBool(
                "listed", of: self.document.root, in: self.bytes.span.bytes)
        } catch {
            throw .badRequest(error.description)
        }
    }

    /// The members of a conversation to create, besides its creator.
    func members() throws(HTTPError) -> [Person] {
        let bytes = self.bytes.span.bytes
        guard let list = self.document.nonNullMember("members", of: self.document.root, in: bytes)
        else { return [] }
        guard self.document.kind(of: list) == .array else {
            throw .badRequest("members: must be an array of objects")
        }
        var members: [Person] = []
        var next = self.document.firstElement(of: list)
        while let element = next {
            guard self.document.kind(of: element) == .object else {
                throw .badRequest("members: must be an array of objects")
            }
            guard members.count < Self.memberLimit else {
                throw .badRequest("members: must be at most \(Self.memberLimit)")
            }
            guard let user = try self.name("user_id", of: element, prefix: "members.") else {
                throw .badRequest("members.user_id: is missing")
            }
            guard !user.hasPrefix(IdentityRule.guestPrefix) else {
                throw .badRequest("members.user_id: must be no guest; guests come by the link")
            }
            let name = try self.name("username", of: element, prefix: "members.")
            members.append(
                Person(
                    id: UserID(tokenSubject: ByteString(user)), name: ByteString(name ?? user)))
            next = self.document.element(after: element, in: list)
        }
        return members
    }

    /// The properties of a conversation to change.
    func update() throws(HTTPError) -> ConversationUpdate {
        var update = ConversationUpdate(origin: ConversationTemplate.rooms.origin)
        update.title = try self.title()
        update.dialectData = try self.description().map { ByteString($0) }
        update.joinPolicy = try self.access()
        update.isListed = try self.listed()
        guard update != ConversationUpdate(origin: update.origin) else {
            throw .badRequest("body: must have title, description, access or listed")
        }
        guard update.joinPolicy != .closed || update.isListed != true else {
            throw HTTPError(.closedIsUnlisted)
        }
        return update
    }

    func messageID() throws(HTTPError) -> SequenceNumber {
        do throws(FieldError) {
            return try self.document.requiredMessageID(
                "message_id", of: self.document.root, in: self.bytes.span.bytes)
        } catch {
            throw .badRequest(error.description)
        }
    }
}

internal import Bytes
internal import ChatModel
internal import DialectKit
internal import Gateway
internal import HTTPWire
internal import JSON
internal import RoomsDialect

/// Reactions, pins and search (PROTOCOLS, "Message features").
extension RoomsAPI {
    func react(_ command: ChatCommand, in id: ByteString, for caller: RoomsCaller)
        async throws(HTTPError) -> HTTPResponse
    {
        switch try await self.submit(command, in: id, of: caller) {
        case .amended(let message):
            return Self.response { text in
                text.append(",")
                text.append(reactionsTo: message, for: command.user)
            }
        case .failed(let error): return try Self.response(toFailedChange: error)
        default: throw .internalServerError
        }
    }

    /// Pins a message or ends its pin.
    func setPin(_ command: ChatCommand, in id: ByteString, for caller: RoomsCaller)
        async throws(HTTPError) -> HTTPResponse
    {
        switch try await self.submit(command, in: id, of: caller) {
        case .amended(let message):
            guard await self.maySeeChanges(of: id, caller) else {
                return Self.response { $0.append(unseen: message) }
            }
            return Self.response { text in
                text.append(",")
                text.append(pinOf: message, inRoom: id)
            }
        case .failed(let error): return try Self.response(toFailedChange: error)
        default: throw .internalServerError
        }
    }

    /// - Parameter cursor: see `[Message].pins(after:)`.
    func pins(of id: ByteString, after cursor: Int, for caller: RoomsCaller)
        async throws(HTTPError) -> HTTPResponse
    {
        let command = ChatCommand.pins(
            by: caller.viewer, readAccess: caller.grants(id) ? .anyone : .anyoneIfOpen)
        switch try await self.submit(command, in: id, of: caller) {
        case .pins(let messages):
            let pins = messages.pins(after: cursor)
            return Self.response { text in
                text.append(#","messages":"#)
                let count = text.append(
                    messages: pins, inRoom: id, on: .of(Array(pins)),
                    for: caller.viewer.person.id, within: caller.pageBytes)
                text.append(nextPinAfter: count, of: pins)
            }
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }
}

internal import Bytes
internal import ChatModel

extension Person: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(user: self.id)
        output.append(string: self.name)
        output.append(string: self.agent)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let user = try input.user()
        let name = try input.byteString()
        return Self(id: user, name: name, agent: try input.optionalByteString())
    }
}

extension ByteBuffer {
    mutating func append(user: UserID) {
        self.append(string: user.storageKey)
    }
}

extension WireReader {
    mutating func user() throws(WireDecodingError) -> UserID {
        UserID(storageKey: try self.byteString())
    }
}

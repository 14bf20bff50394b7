internal import Bytes
internal import ChatModel

extension ConversationKey: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(string: self.tenant)
        output.append(string: self.id)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let tenant = try input.byteString()
        return Self(tenant: tenant, id: try input.byteString())
    }
}

internal import Bytes
internal import ChatModel

extension ConversationRecord: WireValue {}
extension ConversationRecord.JoinPolicy: WireByte {}

extension ConversationTemplate: WireValue {
    func write(to output: inout ByteBuffer) {
        output.append(string: self.origin)
        output.append(byte: self.joinPolicy)
        output.append(flag: self.isListed)
    }

    static func read(from input: inout WireReader) throws(WireDecodingError) -> Self {
        let origin = try input.byteString()
        let joinPolicy = try input.byte(ConversationRecord.JoinPolicy.self)
        return Self(origin: origin, joinPolicy: joinPolicy, isListed: try input.flag())
    }
}

extension Member: WireValue {}
extension Member.Role: WireByte {}

import Bytes
import HTTPWire

/// What must hold of any bytes: fed by the fuzzer (`script/fuzz`) and by the corpus in the ordinary tests. Each check stops the process
/// when a rule is broken.
enum WireProperty {
    /// However a connection's bytes are cut, the same requests are read from them, and the same error ends them.
    ///
    /// - Returns: whether all the bytes were taken.
    @discardableResult
    static func checkHTTP(_ bytes: [UInt8]) -> Bool {
        var whole = HTTPTestReader()
        whole.limits = HTTPLimits(headBytes: 600, requestLineBytes: 200, fieldCount: 10)
        whole.bodyLimit = 100
        var byteWise = whole
        let wholeError = whole.error(receiving: [bytes])
        let byteWiseError = byteWise.error(receiving: bytes.map { [$0] })
        precondition(
            wholeError?.status == byteWiseError?.status,
            "\(String(describing: wholeError)) \(String(describing: byteWiseError))")
        precondition(
            whole.requests.count == byteWise.requests.count,
            "\(whole.requests) \(byteWise.requests)")
        precondition(
            wholeError != nil
                || whole.requests == byteWise.requests && whole.unread == byteWise.unread,
            "\(whole.requests) \(byteWise.requests)")
        self.checkResponse(bytes)
        return wholeError == nil
    }

    private static func checkResponse(_ bytes: [UInt8]) {
        var parser = HTTPResponseParser()
        var head = HTTPResponseHead()
        guard (try? parser.parse(bytes.span.bytes, into: &head)) == true else { return }
        precondition(
            head.byteCount <= bytes.count && (100...999).contains(head.status.rawValue), "\(head)")
    }

    /// However a connection's bytes are cut, the same messages are heard, and the same error ends them.
    ///
    /// - Parameter bytes: the first says whose side reads and whether compression was agreed on.
    /// - Returns: whether all the bytes were taken.
    @discardableResult
    static func checkWebSocket(_ bytes: [UInt8]) -> Bool {
        guard let choice = bytes.first else { return false }
        let limits = WebSocketLimits(frameBytes: 70_000, messageBytes: 80_000)
        let role: WebSocketReader.EndpointRole = choice & 1 == 0 ? .server : .client
        var whole = WebSocketTestReader(
            role: role, acceptsCompression: choice & 2 != 0, limits: limits)
        var byteWise = WebSocketTestReader(
            role: role, acceptsCompression: choice & 2 != 0, limits: limits)
        let wholeError = whole.error(receiving: [Array(bytes.dropFirst())])
        let byteWiseError = byteWise.error(receiving: bytes.dropFirst().map { [$0] })
        precondition(
            wholeError == byteWiseError,
            "\(String(describing: wholeError)) \(String(describing: byteWiseError))")
        precondition(whole.received == byteWise.received, "\(whole.received) \(byteWise.received)")
        return wholeError == nil
    }

    /// Nothing inflates beyond its limit, and what is deflated comes back.
    ///
    /// - Returns: whether the bytes could be inflated.
    @discardableResult
    static func checkInflate(_ bytes: [UInt8]) -> Bool {
        let inflater = Inflater()
        let byteLimit = 20_000
        func inflate(_ message: [UInt8]) -> Bool {
            do throws(InflateError) {
                try message.span.bytes.withUnsafeBytes { bytes throws(InflateError) in
                    try inflater.inflate(bytes, byteLimit: byteLimit)
                }
                return true
            } catch {
                return false
            }
        }
        let isGood = inflate(bytes)
        precondition(
            inflater.output.count <= byteLimit,
            "More came out than was allowed: \(inflater.output.count)")
        precondition(isGood || inflater.output.isEmpty, "Something came out of bad data.")

        var deflated = ByteBuffer()
        let deflater = Deflater()
        if bytes.count <= byteLimit,
            bytes.withUnsafeBytes({ deflater.deflate($0, into: &deflated) })
        {
            precondition(deflated.count < bytes.count, "Deflating made it longer.")
            precondition(
                inflate(deflated.bytes) && inflater.output.elementsEqual(bytes),
                "What was deflated does not come back.")
        }
        return isGood
    }
}

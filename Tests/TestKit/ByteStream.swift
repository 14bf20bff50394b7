import Glibc

/// A TCP connection that sends exactly the bytes that the test specifies. Every wait has a timeout.
public final class ByteStream {
    private var descriptor: Int32
    private var received: [UInt8] = []
    /// Whether the peer has closed its side or reset the connection.
    public private(set) var isClosed = false

    /// - Parameter receiveBytes: the size of the kernel's receive buffer. It is set before
    ///   connecting, because the TCP window is negotiated then.
    public init(port: UInt16, receiveBytes: Int32? = nil) throws {
        self.descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard self.descriptor >= 0 else { throw TestFailure("no socket: errno \(errno)") }
        if var size = receiveBytes {
            setsockopt(
                self.descriptor, SOL_SOCKET, SO_RCVBUF, &size,
                socklen_t(MemoryLayout.size(ofValue: size)))
        }
        var address = sockaddr_in.loopback(port: port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(self.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        let reason = result == 0 ? 0 : errno
        // The server can reset the connection before connect(2) returns. That counts as a closed
        // connection.
        self.isClosed = reason == ECONNRESET
        guard reason == 0 || self.isClosed else {
            self.close()
            throw TestFailure("no server accepts connections on port \(port): errno \(reason)")
        }
        _ = fcntl(self.descriptor, F_SETFL, O_NONBLOCK)
        var on: Int32 = 1
        setsockopt(
            self.descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on,
            socklen_t(MemoryLayout.size(ofValue: on)))
    }

    deinit { self.close() }

    public func close() {
        guard self.descriptor >= 0 else { return }
        _ = Glibc.close(self.descriptor)
        self.descriptor = -1
    }

    /// Closes only the sending side. The peer reads to the end and can still answer.
    public func finishSending() { shutdown(self.descriptor, Int32(SHUT_WR)) }

    public func send(_ text: String) throws { try self.send(Array(text.utf8)) }

    public func send(_ bytes: [UInt8], within time: Duration = Deadline.defaultTimeout) throws {
        let deadline = Deadline(within: time)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(self.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno == EAGAIN {
                guard self.wait(Int16(POLLOUT), deadline) else {
                    throw TestFailure("the peer has stopped reading")
                }
            } else {
                throw TestFailure("the peer has closed the connection: errno \(errno)")
            }
        }
    }

    /// Sends as many of the bytes as the kernel accepts at once.
    ///
    /// - Returns: how many; nil if the peer has closed the connection.
    public func sendNow(_ bytes: [UInt8]) -> Int? {
        let count = bytes.withUnsafeBytes {
            Glibc.send(self.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count < 0 { return errno == EAGAIN ? 0 : nil }
        return count
    }

    /// Waits until there are bytes to read or the connection has ended. Returns false after the
    /// timeout.
    public func isReadable(within time: Duration) -> Bool {
        !self.received.isEmpty || self.isClosed || self.wait(Int16(POLLIN), Deadline(within: time))
    }

    /// Waits for at least `count` bytes, and returns all unconsumed bytes. They are fewer if the
    /// peer closes first.
    public func peek(atLeast count: Int, within time: Duration = Deadline.defaultTimeout) throws
        -> ArraySlice<UInt8>
    {
        let deadline = Deadline(within: time)
        while self.received.count < count, !self.isClosed {
            guard self.wait(Int16(POLLIN), deadline) else {
                throw TestFailure(
                    "waited \(time) for \(count) bytes, received \(self.received.count): "
                        + "\(self.receivedPreview)"
                )
            }
            self.read()
        }
        return self.received[...]
    }

    public func consume(_ count: Int) {
        self.received.removeFirst(count)
    }

    /// Reads to the end of the connection. Returns false after the timeout.
    public func readToEnd(within time: Duration = Deadline.defaultTimeout) -> Bool {
        let deadline = Deadline(within: time)
        while !self.isClosed {
            guard self.wait(Int16(POLLIN), deadline) else { return false }
            self.read()
        }
        return true
    }

    /// A line without its line break; nil at the end of the connection.
    public func line(within time: Duration = Deadline.defaultTimeout) throws -> String? {
        var count = 1
        while true {
            let bytes = try self.peek(atLeast: count, within: time)
            if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: bytes[..<end], as: UTF8.self)
                self.consume(end + 1)
                return line.hasSuffix("\r") ? String(line.dropLast()) : line
            }
            if bytes.count < count { return nil }
            count = bytes.count + 1
        }
    }

    private var receivedPreview: String {
        String(decoding: self.received.suffix(400), as: UTF8.self)
    }

    private func wait(_ events: Int16, _ deadline: Deadline) -> Bool {
        var entry = pollfd(fd: self.descriptor, events: events, revents: 0)
        while true {
            let count = poll(&entry, 1, deadline.milliseconds)
            if count > 0 { return true }
            if count == 0 { return false }
        }
    }

    private func read() {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(self.descriptor, &buffer, buffer.count, 0)
        if count > 0 {
            self.received += buffer[..<count]
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            self.isClosed = true
        }
    }
}

extension sockaddr_in {
    static func loopback(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        return address
    }
}

import Bytes
import ConfabClient
import EventLoop
import HTTPWire
import TLS

extension LoadRun {
    // MARK: Receiving

    mutating func read(_ member: Int) {
        repeat {
            let retained = self.connections[member].unread.count
            let space = UnsafeMutableRawBufferPointer(
                rebasing: self.readBuffer[retained..<retained + Self.readByteCount])
            guard let transfer = self.connections[member].transport?.read(into: space) else {
                return
            }
            switch transfer {
            case .bytes(let count):
                if retained > 0 {
                    self.connections[member].unread.withUnsafeBytes {
                        self.readBuffer.baseAddress?.copyMemory(
                            from: $0.baseAddress!, byteCount: retained)
                    }
                }
                if self.record.isMeasuring { self.record.bytesIn += UInt64(count) }
                self.processInput(
                    member,
                    UnsafeMutableRawBufferPointer(rebasing: self.readBuffer[..<(retained + count)]))
            case .wouldBlock:
                return self.updateInterest(member)
            case .endOfStream:
                return self.closeFailed(
                    member,
                    self.handshakes[member]?.ended()
                        ?? .broken(reason: "the server closed it without a close frame"))
            case .failed(let failure):
                return self.closeFailed(member, ClientError(failure))
            }
        } while self.connections[member].transport?.readsMustDrain == true
    }

    /// Processes all received bytes that are not consumed yet.
    private mutating func processInput(_ member: Int, _ bytes: UnsafeMutableRawBufferPointer) {
        if self.connections[member].longPolling != nil {
            return self.receivePollResponse(member, bytes)
        }
        var offset = 0
        if self.connections[member].state == .upgrading {
            guard
                let (consumed, isOpen) = self.receiveResponse(member, UnsafeRawBufferPointer(bytes))
            else { return }
            offset = consumed
            if !isOpen { return self.retainUnread(member, bytes, from: offset) }
        }
        let now = self.record.isMeasuring ? MonotonicTime.exact : self.record.start
        let limits = WebSocketLimits(
            frameBytes: Self.frameByteLimit, messageBytes: Self.frameByteLimit)
        do throws(WebSocketError) {
            while let input = try self.connections[member].reader.next(
                in: bytes, from: &offset, limits: limits)
            {
                self.framesIn += 1
                switch input {
                case .message(.text, let range):
                    self.receive(member, UnsafeRawBufferPointer(rebasing: bytes[range]), at: now)
                case .assembledMessage(.text, let text):
                    text.withUnsafeBytes { self.receive(member, $0, at: now) }
                case .ping(let range):
                    self.frame.removeAll()
                    self.frame.append(
                        webSocketFrame: .pong,
                        payload: UnsafeRawBufferPointer(rebasing: bytes[range]),
                        mask: self.random.mask())
                    self.sendFrame(to: member)
                case .close(let code, let reason):
                    let text = String(decoding: bytes[reason], as: UTF8.self)
                    return self.closeFailed(member, .closed(code, reason: text))
                case .message(.binary, _), .assembledMessage(.binary, _), .inflatedMessage, .pong,
                    .fragment:
                    break
                }
                guard self.connections[member].state.isEstablished else { return }
            }
        } catch {
            return self.closeFailed(member, .protocolViolation(error))
        }
        self.retainUnread(member, bytes, from: offset)
    }

    mutating func retainUnread(
        _ member: Int, _ bytes: UnsafeMutableRawBufferPointer, from offset: Int
    ) {
        self.connections[member].unread.removeAll(keepingCapacity: true)
        if offset < bytes.count {
            self.connections[member].unread.append(contentsOf: bytes[offset...])
        }
    }

    mutating func receive(_ member: Int, _ text: UnsafeRawBufferPointer, at now: MonotonicTime) {
        guard let stamp = self.stampReader.read(text) else {
            let group = Int(self.groupOfMember[member])
            self.perform(member, self.dialect.joinStep(of: member, to: text, group: group))
            if let errorText = self.dialect.errorText(in: text, to: member, group: group) {
                self.failures.add(.applicationErrors, example: errorText)
            }
            return
        }
        guard self.recorder.receive(stamp, by: member) == .counted else { return }
        let publisher = self.firstMembers[Int(stamp.group)] + Int(stamp.publisher)
        let isAnswer = publisher == member
        if self.record.isMeasuring {
            self.record.recordDelivery(
                latency: now.nanoseconds - self.record.start.nanoseconds - stamp.sentAt,
                isAnswer: isAnswer)
        }
        if isAnswer, self.plan.pacing == .closedLoop { self.answeredPublishers.append(member) }
    }

    // MARK: Publishing

    mutating func publishDue(at now: MonotonicTime) {
        if self.plan.pacing == .closedLoop {
            for member in self.answeredPublishers where self.connections[member].state == .open {
                self.publish(member, as: 0, in: Int(self.groupOfMember[member]))
            }
            self.answeredPublishers.removeAll(keepingCapacity: true)
            return
        }
        let onTheWay = Int(
            self.recorder.expected - min(self.recorder.received, self.recorder.expected))
        let due = self.pacer.due(
            at: now, inFlight: onTheWay,
            deliveriesPerMessage: self.plan.connections / self.plan.groups)
        for _ in 0..<due {
            // Round robin over conversations, and within each over its publishers.
            let group = self.nextPublisher % self.plan.groups
            let publisher = self.nextPublisher / self.plan.groups % self.plan.publishersPerGroup
            let member = self.firstMembers[group] + publisher
            guard !self.connections[member].isBackedUp else { return }
            self.nextPublisher += 1
            self.pacer.recordPublished(at: now)
            if self.connections[member].state == .open {
                self.publish(member, as: publisher, in: group)
            }
        }
    }

    private mutating func publish(_ member: Int, as publisher: Int, in group: Int) {
        let number = self.recorder.publish(by: publisher, in: group)
        let stamp = MessageStamp(
            group: UInt32(group), publisher: UInt32(publisher), number: number,
            sentAt: MonotonicTime.exact.nanoseconds - self.record.start.nanoseconds)
        self.text.removeAll()
        self.dialect.append(publishing: stamp, by: member, in: group, to: &self.text)
        let mask = self.random.mask()
        self.frame.removeAll()
        self.frame.append(webSocketFrame: .text, payload: self.text, mask: mask)
        self.sendFrame(to: member)
    }

    // MARK: Sending

    /// Sends the frame in `frame`. Frames are not batched, because the server should read messages
    /// as they come from many clients.
    mutating func sendFrame(to member: Int) {
        var sent = 0
        if self.connections[member].unsent.isEmpty {
            let transfer = self.frame.bytes.withUnsafeBytes {
                self.connections[member].transport?.write($0)
            }
            switch transfer {
            case .bytes(let count): sent = count
            case .wouldBlock: break
            case .endOfStream, nil:
                return self.closeFailed(member, .broken(reason: "the server closed it"))
            case .failed(let failure): return self.closeFailed(member, ClientError(failure))
            }
            if sent == self.frame.count { return }
        }
        let isKept = self.frame.bytes.withUnsafeBytes {
            self.connections[member].unsent.append(UnsafeRawBufferPointer(rebasing: $0[sent...]))
        }
        guard isKept else {
            return self.closeFailed(
                member, .outboundFull(limitBytes: self.connections[member].unsent.limitBytes))
        }
        self.updateInterest(member)
    }

    mutating func flush(_ member: Int) {
        guard
            self.connections[member].state.isEstablished
                || self.connections[member].state == .upgrading
        else { return }
        if var transport = self.connections[member].transport {
            let error = self.connections[member].unsent.flush(to: &transport)
            self.connections[member].transport = transport
            if let error { return self.closeFailed(member, error) }
        }
        self.updateInterest(member)
    }

    mutating func updateInterest(_ member: Int) {
        let needsWriting =
            !self.connections[member].unsent.isEmpty
            || self.connections[member].transport?.wantsWrite == true
        self.loop.setInterest(self.connections[member].token, read: true, write: needsWriting)
    }
}

extension ByteBuffer {
    fileprivate mutating func append(
        webSocketFrame opcode: WebSocketOpcode, payload: ByteBuffer, mask: UInt32
    ) {
        payload.bytes.withUnsafeBytes {
            self.append(webSocketFrame: opcode, payload: $0, mask: mask)
        }
    }
}

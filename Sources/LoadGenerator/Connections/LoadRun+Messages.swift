import Bytes
import ChatClient
import EventLoop
import HTTPWire
import TLS

extension LoadRun {
    // MARK: Receiving

    mutating func read(_ member: Int) {
        repeat {
            let kept = self.connections[member].unread.count
            let space = UnsafeMutableRawBufferPointer(rebasing: self.room[kept..<kept + Self.readByteCount])
            guard let transfer = self.connections[member].transport?.read(into: space) else { return }
            switch transfer {
            case .moved(let count):
                if kept > 0 {
                    self.connections[member].unread.withUnsafeBytes {
                        self.room.baseAddress?.copyMemory(from: $0.baseAddress!, byteCount: kept)
                    }
                }
                if self.record.isMeasuring { self.record.bytesIn += UInt64(count) }
                self.take(member, UnsafeMutableRawBufferPointer(rebasing: self.room[..<(kept + count)]))
            case .wouldBlock:
                return self.updateInterest(member)
            case .ended:
                return self.lose(member, self.handshakes[member]?.ended() ?? .broken(reason: "the server closed it without a close frame"))
            case .failed(let failure):
                return self.lose(member, ClientError(failure))
            }
        } while self.connections[member].transport?.readsMustDrain == true
    }

    /// All that has come and is not used up.
    private mutating func take(_ member: Int, _ bytes: UnsafeMutableRawBufferPointer) {
        if self.connections[member].polling != nil { return self.takeAnswer(member, bytes) }
        var offset = 0
        if self.connections[member].step == .upgrading {
            guard let (consumed, isOpen) = self.receiveResponse(member, UnsafeRawBufferPointer(bytes)) else { return }
            offset = consumed
            if !isOpen { return self.keep(member, bytes, from: offset) }
        }
        let now = self.record.isMeasuring ? MonotonicTime.exact : self.record.start
        let limits = WebSocketLimits(frameBytes: Self.frameByteLimit, messageBytes: Self.frameByteLimit)
        do throws(WebSocketError) {
            while let input = try self.connections[member].reader.next(in: bytes, from: &offset, limits: limits) {
                self.framesIn += 1
                switch input {
                case .message(.text, let place):
                    self.hear(member, UnsafeRawBufferPointer(rebasing: bytes[place]), at: now)
                case .assembledMessage(.text, let text):
                    text.withUnsafeBytes { self.hear(member, $0, at: now) }
                case .ping(let place):
                    self.frame.removeAll()
                    self.frame.append(
                        webSocketFrame: .pong, payload: UnsafeRawBufferPointer(rebasing: bytes[place]), mask: self.chance.mask())
                    self.sendFrame(to: member)
                case .close(let code, let reason):
                    let text = String(decoding: bytes[reason], as: UTF8.self)
                    return self.lose(member, .closed(code, reason: text))
                case .message(.binary, _), .assembledMessage(.binary, _), .inflatedMessage, .pong:
                    break
                }
                guard self.connections[member].step.isTalking else { return }
            }
        } catch {
            return self.lose(member, .frames(error))
        }
        self.keep(member, bytes, from: offset)
    }

    mutating func keep(_ member: Int, _ bytes: UnsafeMutableRawBufferPointer, from offset: Int) {
        self.connections[member].unread.removeAll(keepingCapacity: true)
        if offset < bytes.count { self.connections[member].unread.append(contentsOf: bytes[offset...]) }
    }

    mutating func hear(_ member: Int, _ text: UnsafeRawBufferPointer, at now: MonotonicTime) {
        guard let mark = self.markReader.read(text) else {
            let group = Int(self.groupOfMember[member])
            self.greet(member, self.dialect.greeting(of: member, to: text, group: group))
            if let complaint = self.dialect.complaint(in: text, to: member, group: group) {
                self.failures.add(.applicationErrors, example: complaint)
            }
            return
        }
        guard self.ledger.hear(mark, by: member) == .counted else { return }
        let publisher = self.firstMembers[Int(mark.group)] + Int(mark.publisher)
        let isAnswer = publisher == member
        if self.record.isMeasuring {
            self.record.note(latency: now.nanoseconds - self.record.start.nanoseconds - mark.sentAt, isAnswer: isAnswer)
        }
        if isAnswer, self.plan.pacing == .closedLoop { self.answered.append(member) }
    }

    // MARK: Publishing

    mutating func publishWhatIsDue(at now: MonotonicTime) {
        if self.plan.pacing == .closedLoop {
            for member in self.answered where self.connections[member].step == .open {
                self.publish(member, as: 0, in: Int(self.groupOfMember[member]))
            }
            self.answered.removeAll(keepingCapacity: true)
            return
        }
        let onTheWay = Int(self.ledger.expected - min(self.ledger.received, self.ledger.expected))
        let due = self.pacer.due(at: now, onTheWay: onTheWay, deliveriesPerMessage: self.plan.connections / self.plan.groups)
        for _ in 0..<due {
            // Conversations take turns, and in each its publishers.
            let group = self.nextTurn % self.plan.groups
            let publisher = self.nextTurn / self.plan.groups % self.plan.publishersPerGroup
            let member = self.firstMembers[group] + publisher
            guard !self.connections[member].isBackedUp else { return }
            self.nextTurn += 1
            self.pacer.noteOne(at: now)
            if self.connections[member].step == .open { self.publish(member, as: publisher, in: group) }
        }
    }

    private mutating func publish(_ member: Int, as publisher: Int, in group: Int) {
        let number = self.ledger.publish(by: publisher, in: group)
        let mark = LoadMark(
            group: UInt32(group), publisher: UInt32(publisher), number: number,
            sentAt: MonotonicTime.exact.nanoseconds - self.record.start.nanoseconds)
        self.text.removeAll()
        self.dialect.append(publishing: mark, by: member, in: group, to: &self.text)
        let mask = self.chance.mask()
        self.frame.removeAll()
        self.frame.append(webSocketFrame: .text, payload: self.text, mask: mask)
        self.sendFrame(to: member)
    }

    // MARK: Sending

    /// Sends what stands in `frame`. Each frame by its own: the server is to read messages as they come from many clients.
    mutating func sendFrame(to member: Int) {
        var sent = 0
        if self.connections[member].unsent.isEmpty {
            let transfer = self.frame.bytes.withUnsafeBytes { self.connections[member].transport?.write($0) }
            switch transfer {
            case .moved(let count): sent = count
            case .wouldBlock: break
            case .ended, nil: return self.lose(member, .broken(reason: "the server closed it"))
            case .failed(let failure): return self.lose(member, ClientError(failure))
            }
            if sent == self.frame.count { return }
        }
        let isKept = self.frame.bytes.withUnsafeBytes {
            self.connections[member].unsent.append(UnsafeRawBufferPointer(rebasing: $0[sent...]))
        }
        guard isKept else { return self.lose(member, .outboundFull(limitBytes: self.connections[member].unsent.limitBytes)) }
        self.updateInterest(member)
    }

    mutating func flush(_ member: Int) {
        guard self.connections[member].step.isTalking || self.connections[member].step == .upgrading else { return }
        if var transport = self.connections[member].transport {
            let error = self.connections[member].unsent.flush(to: &transport)
            self.connections[member].transport = transport
            if let error { return self.lose(member, error) }
        }
        self.updateInterest(member)
    }

    mutating func updateInterest(_ member: Int) {
        let needsWriting = !self.connections[member].unsent.isEmpty || self.connections[member].transport?.wantsWrite == true
        self.loop.setInterest(self.connections[member].token, read: true, write: needsWriting)
    }
}

extension ByteBuffer {
    fileprivate mutating func append(webSocketFrame opcode: WebSocketOpcode, payload: ByteBuffer, mask: UInt32) {
        payload.bytes.withUnsafeBytes { self.append(webSocketFrame: opcode, payload: $0, mask: mask) }
    }
}

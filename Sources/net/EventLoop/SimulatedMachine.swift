public import Bytes
internal import CLinux
import Glibc

/// A machine with its own clock and sockets, whose loops run on the thread that plays it.
///
/// A simulation plays several machines in one thread and in an order that a seed decides. The code
/// that runs on them is the program's own: loops that are started within `run` belong to the
/// machine, and so do sockets that are opened there.
public final class SimulatedMachine: @unchecked Sendable {
    // Unchecked because only the thread that plays the simulation uses it.
    public let clock: SimulatedClock
    let sockets: any SocketPort
    /// The loops that have not ended, oldest first.
    public private(set) var loops: [EventLoop] = []

    public init(clock: SimulatedClock, sockets: any SocketPort) {
        self.clock = clock
        self.sockets = sockets
    }

    private static let currentKey: pthread_key_t = {
        var key = pthread_key_t()
        precondition(pthread_key_create(&key, nil) == 0, "No key for thread values is left.")
        return key
    }()

    /// The machine that the current thread runs; nil outside a simulation.
    static var current: SimulatedMachine? {
        pthread_getspecific(self.currentKey).map {
            Unmanaged<SimulatedMachine>.fromOpaque($0).takeUnretainedValue()
        }
    }

    /// Runs `body` on this machine.
    public func run<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure)
        -> Result
    {
        let outer = pthread_getspecific(Self.currentKey)
        pthread_setspecific(Self.currentKey, Unmanaged.passUnretained(self).toOpaque())
        defer { pthread_setspecific(Self.currentKey, outer) }
        return try self.clock.run(body)
    }

    func add(_ loop: EventLoop) { self.loops.append(loop) }

    /// Runs a loop that was stopped to its end.
    func end(_ loop: EventLoop) {
        self.run { while loop.runTurn() != nil {} }
    }

    fileprivate func ended(_ loop: EventLoop) { self.loops.removeAll { $0 === loop } }
}

// MARK: The turns of simulated loops

extension EventLoop {
    /// Whether a message, a job or a closure has arrived since the last turn. From any thread.
    public var isWoken: Bool { self.wakeupEvent.isPending }

    /// When the next tick of a simulated loop is due.
    public var nextTick: MonotonicTime {
        MonotonicTime(nanoseconds: self.state.pointee.nextTick)
    }

    /// Runs one turn of a simulated loop within its machine's `run`: the tick if it is due, the
    /// sockets that are ready, and the rest of a turn.
    ///
    /// - Returns: whether it may sleep until it is woken, a socket changes or a tick is due; nil if
    ///   it has ended.
    public func runTurn() -> Bool? {
        guard let machine, !self.state.pointee.isClosed else { return nil }
        self.becomeCurrent()
        defer { self.resignCurrent() }
        self.beginTurn()
        self.tickIfDue()
        let hadEvents = self.dispatchReadySockets(of: machine)
        guard let maySleep = self.endTurn() else {
            machine.ended(self)
            self.finish()
            return nil
        }
        // A socket may still be ready, or ready again.
        return maySleep && !hadEvents
    }

    private func dispatchReadySockets(of machine: SimulatedMachine) -> Bool {
        var hadEvents = false
        for slot in self.state.pointee.sockets.occupiedSlots {
            let token = self.state.pointee.sockets.token(of: slot)
            guard self.state.pointee.sockets.contains(token, in: .watched) else { continue }
            let socket = self.state.pointee.sockets[slot]
            let readiness = machine.sockets.readiness(of: socket.descriptor)
            var events: UInt32 = 0
            if readiness.contains(.readable), socket.interest.contains(.read) {
                events |= EPOLLIN.rawValue
            }
            if readiness.contains(.writable), socket.interest.contains(.write) {
                events |= EPOLLOUT.rawValue
            }
            if readiness.contains(.failed) { events |= EPOLLERR.rawValue }
            if readiness.contains(.peerClosed), socket.interest.isEmpty {
                events |= EPOLLRDHUP.rawValue
            }
            guard events != 0 else { continue }
            // epoll reports the end of the peer's output only once.
            hadEvents = hadEvents || !socket.interest.isEmpty
            self.dispatch(events, token)
        }
        return hadEvents
    }
}

import Bytes
import ChatModel

/// Deeds that are not answered, what each still needs, and the order in which writes are answered.
struct OpenDeeds {
    private var deeds = Slab<StoreDeed>()
    /// In the order in which they were asked for: so they are answered, too. One that has to wait for a replica once more would else be
    /// overtaken, and owners take an answer to a later write for one to all before it.
    private var writes: [UInt64] = []
    /// Those of which something is `unconfirmed`, because nobody knew whether there are replicas to be waited for.
    private(set) var undecided: [UInt64] = []

    /// The deed under a number that `add` gave; nil when it is answered. Only what is there can be changed.
    subscript(number: UInt64) -> StoreDeed? {
        get { self.deeds[number] }
        _modify { yield &self.deeds[number] }
    }

    mutating func add(_ deed: StoreDeed) -> UInt64 {
        let number = self.deeds.insert(deed)
        if case .write = deed.request { self.writes.append(number) }
        return number
    }

    /// Nothing was asked for it, and it is not answered.
    mutating func cancel(_ number: UInt64) {
        _ = self.deeds.remove(number)
        self.writes.removeAll { $0 == number }
    }

    // MARK: What replicas are to confirm

    /// Puts off the question whether replicas have a write.
    mutating func confirmLater(_ number: UInt64, _ unconfirmed: StoreDeed.Unconfirmed) {
        guard self.deeds[number] != nil else { return }
        self.deeds[number]?.unconfirmed.append(unconfirmed)
        if !self.undecided.contains(number) { self.undecided.append(number) }
    }

    /// What is to be asked of a deed's replicas: nothing before the rest of it is answered.
    ///
    /// Until then it stays among the `undecided`, whatever becomes known meanwhile: a slot may go to a master of which nothing is.
    mutating func takeUnconfirmed(of number: UInt64) -> [StoreDeed.Unconfirmed] {
        guard let deed = self.deeds[number], deed.commandsUnderWay == 0, !deed.isDone else { return [] }
        self.deeds[number]?.unconfirmed = []
        self.undecided.removeAll { $0 == number }
        return deed.unconfirmed
    }

    /// Nobody will say any more whether replicas have what was written.
    mutating func giveUp(_ number: UInt64) {
        self.undecided.removeAll { $0 == number }
        guard self.deeds[number] != nil else { return }
        self.deeds[number]?.isUnconfirmed = true
        // Though the next master may have no replicas to wait for: it may not have the write either.
        if self.deeds[number]?.failure == nil { self.deeds[number]?.failure = .unconfirmed }
    }

    // MARK: What is done

    /// A deed that needs nothing any more and is no write.
    mutating func takeDone(_ number: UInt64) -> StoreDeed? {
        guard let deed = self.deeds[number], deed.isDone else { return nil }
        if case .write = deed.request { return nil }
        return self.take(number)
    }

    /// The write that is answered next, when it needs nothing any more.
    mutating func takeNextWrite() -> StoreDeed? {
        guard let first = self.writes.first, self.deeds[first]?.isDone ?? true else { return nil }
        self.writes.removeFirst()
        return self.take(first)
    }

    private mutating func take(_ number: UInt64) -> StoreDeed? {
        if !self.undecided.isEmpty { self.undecided.removeAll { $0 == number } }
        return self.deeds.remove(number)
    }
}

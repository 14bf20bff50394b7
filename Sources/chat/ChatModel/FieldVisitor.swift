public import Bytes

/// Receives the fields of a stored or sent value, each with its name.
///
/// A visitor that writes reads each field, and one that reads replaces it. So a value lists its
/// fields once (`FieldRecord`), and all formats follow from that list.
public protocol FieldVisitor<Failure> {
    associatedtype Failure: Error

    mutating func visit(_ name: StaticString, text: inout ByteString?) throws(Failure)
    mutating func visit(_ name: StaticString, byte: inout UInt8) throws(Failure)
    /// A number that is never negative.
    mutating func visit(_ name: StaticString, number: inout Int) throws(Failure)
    mutating func visit(_ name: StaticString, time: inout Timestamp?) throws(Failure)
    /// A text or time that is never nil.
    mutating func visit(_ name: StaticString, requiredText: inout ByteString) throws(Failure)
    mutating func visit(_ name: StaticString, requiredTime: inout Timestamp) throws(Failure)
    /// The error for a byte that was read and means nothing.
    func invalid(_ name: StaticString, _ byte: UInt8) -> Failure
}

/// A value that lists its fields once.
public protocol FieldRecord {
    /// The value that a visitor fills when it reads. It has the value of each field that a format
    /// leaves out.
    static var blank: Self { get }

    /// Visits all fields, always in the same order. Fields of later versions come last.
    mutating func visitFields<Visitor: FieldVisitor>(_ visitor: inout Visitor)
        throws(Visitor.Failure)
}

extension FieldRecord {
    /// Visits all fields of a copy, for visitors that only read them.
    public func readFields<Visitor: FieldVisitor>(_ visitor: inout Visitor)
    where Visitor.Failure == Never {
        var copy = self
        copy.visitFields(&visitor)
    }

    /// The names of the fields, in order.
    public static var fieldNames: [String] {
        var collector = FieldNameCollector()
        self.blank.readFields(&collector)
        return collector.names
    }
}

extension FieldVisitor {
    /// An enumeration.
    mutating func visit<Value: RawRepresentable<UInt8>>(
        _ name: StaticString, _ value: inout Value
    ) throws(Failure) {
        var byte = value.rawValue
        try self.visit(name, byte: &byte)
        guard let read = Value(rawValue: byte) else { throw self.invalid(name, byte) }
        value = read
    }

    mutating func visit(_ name: StaticString, _ value: inout Bool) throws(Failure) {
        var byte: UInt8 = value ? 1 : 0
        try self.visit(name, byte: &byte)
        guard byte <= 1 else { throw self.invalid(name, byte) }
        value = byte == 1
    }

    mutating func visit(_ name: StaticString, _ value: inout ByteString) throws(Failure) {
        try self.visit(name, requiredText: &value)
    }

    mutating func visit(_ name: StaticString, _ value: inout String) throws(Failure) {
        var text = ByteString(value)
        try self.visit(name, requiredText: &text)
        value = text.string
    }

    mutating func visit(_ name: StaticString, _ value: inout UserID?) throws(Failure) {
        var text = value?.storageKey
        try self.visit(name, text: &text)
        value = text.map { UserID(storageKey: $0) }
    }

    mutating func visit(_ name: StaticString, _ value: inout UserID) throws(Failure) {
        var text = value.storageKey
        try self.visit(name, requiredText: &text)
        value = UserID(storageKey: text)
    }

    mutating func visit(_ name: StaticString, _ value: inout ByteString?) throws(Failure) {
        try self.visit(name, text: &value)
    }

    mutating func visit(_ name: StaticString, _ value: inout Int) throws(Failure) {
        try self.visit(name, number: &value)
    }

    mutating func visit(_ name: StaticString, _ value: inout Timestamp) throws(Failure) {
        try self.visit(name, requiredTime: &value)
    }

    mutating func visit(_ name: StaticString, _ value: inout Timestamp?) throws(Failure) {
        try self.visit(name, time: &value)
    }
}

/// For visitors that only read the fields.
extension FieldVisitor where Failure == Never {
    public func invalid(_ name: StaticString, _ byte: UInt8) -> Never {
        preconditionFailure("\(name) is \(byte), which is not written")
    }
}

private struct FieldNameCollector: FieldVisitor {
    typealias Failure = Never

    var names: [String] = []

    mutating func visit(_ name: StaticString, text: inout ByteString?) { self.add(name) }
    mutating func visit(_ name: StaticString, byte: inout UInt8) { self.add(name) }
    mutating func visit(_ name: StaticString, number: inout Int) { self.add(name) }
    mutating func visit(_ name: StaticString, time: inout Timestamp?) { self.add(name) }
    mutating func visit(_ name: StaticString, requiredText: inout ByteString) { self.add(name) }
    mutating func visit(_ name: StaticString, requiredTime: inout Timestamp) { self.add(name) }

    private mutating func add(_ name: StaticString) { self.names.append(name.description) }
}

public import Bytes

/// Receives the fields of a stored or sent value, each with its name.
///
/// A visitor that writes reads each field, and one that reads replaces it. So a value lists its
/// fields once (`FieldRecord`), and all formats follow from that list. Messages have formats of
/// their own, because each recipient costs time.
public protocol FieldVisitor<Failure> {
    associatedtype Failure: Error

    /// - Parameter isOptional: whether the text may be nil.
    mutating func visit(_ name: StaticString, text: inout ByteString?, isOptional: Bool)
        throws(Failure)
    mutating func visit(_ name: StaticString, number: inout Int64?, _ kind: FieldNumber)
        throws(Failure)
    /// The error for a value that was never written.
    func invalid(_ name: StaticString) -> Failure
}

/// The kinds of numbers. Only an optional time may be nil.
public enum FieldNumber: Sendable {
    /// A flag or an enumeration.
    case byte
    /// A number that is never negative.
    case count
    /// In milliseconds.
    case time
    case optionalTime
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
}

/// For visitors that only read the fields.
extension FieldVisitor where Failure == Never {
    public func invalid(_ name: StaticString) -> Never {
        preconditionFailure("\(name) has a value that is not written")
    }
}

// The types of fields.
extension FieldVisitor {
    mutating func visit(_ name: StaticString, _ value: inout ByteString?) throws(Failure) {
        try self.visit(name, text: &value, isOptional: true)
    }

    mutating func visit(_ name: StaticString, _ value: inout ByteString) throws(Failure) {
        var text: ByteString? = value
        try self.visit(name, text: &text, isOptional: false)
        value = text ?? ""
    }

    mutating func visit(_ name: StaticString, _ value: inout String) throws(Failure) {
        var text = ByteString(value)
        try self.visit(name, &text)
        value = text.string
    }

    mutating func visit(_ name: StaticString, _ value: inout UserID?) throws(Failure) {
        var key = value?.storageKey
        try self.visit(name, &key)
        value = key.map { UserID(storageKey: $0) }
    }

    mutating func visit(_ name: StaticString, _ value: inout UserID) throws(Failure) {
        var key = value.storageKey
        try self.visit(name, &key)
        value = UserID(storageKey: key)
    }

    /// An enumeration.
    mutating func visit<Value: RawRepresentable<UInt8>>(
        _ name: StaticString, _ value: inout Value
    ) throws(Failure) {
        var number: Int64? = Int64(value.rawValue)
        try self.visit(name, number: &number, .byte)
        guard let byte = UInt8(exactly: number ?? 0), let read = Value(rawValue: byte)
        else { throw self.invalid(name) }
        value = read
    }

    mutating func visit(_ name: StaticString, _ value: inout Bool) throws(Failure) {
        var number: Int64? = value ? 1 : 0
        try self.visit(name, number: &number, .byte)
        value = number == 1
        guard value || number ?? 0 == 0 else { throw self.invalid(name) }
    }

    mutating func visit(_ name: StaticString, _ value: inout Int) throws(Failure) {
        var number: Int64? = Int64(value)
        try self.visit(name, number: &number, .count)
        value = Int(number ?? 0)
    }

    mutating func visit(_ name: StaticString, _ value: inout Timestamp) throws(Failure) {
        var number: Int64? = value.milliseconds
        try self.visit(name, number: &number, .time)
        value.milliseconds = number ?? 0
    }

    mutating func visit(_ name: StaticString, _ value: inout Timestamp?) throws(Failure) {
        var number = value?.milliseconds
        try self.visit(name, number: &number, .optionalTime)
        value = number.map { Timestamp(milliseconds: $0) }
    }
}

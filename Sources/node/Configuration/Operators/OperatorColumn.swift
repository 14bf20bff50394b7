/// A column of an operator's table: the key in the JSON document, the title and the format.
public struct OperatorColumn: Sendable, Equatable {
    /// The format of a value for people.
    public enum Format: String, Sendable {
        case text, number, bytes, seconds, milliseconds, percent, deviation, state, flag
        /// A number that is a string in the document, such as the id of a message.
        case numberText
        /// An array of strings.
        case list
        /// An array of strings, of which a table shows the first ones.
        case ranges

        public var isNumber: Bool { ![.text, .state, .flag, .list, .ranges].contains(self) }
    }

    public let title: String
    public let key: String
    /// On a narrow terminal the columns with the lowest importance are left out first. `.max` is
    /// never left out.
    public let importance: Int
    public let format: Format
    /// Whether the totals row contains its sum.
    public let isSummed: Bool
    /// Whether a table leaves the column out while no row has a value.
    public let isOptional: Bool

    init(
        _ title: String, _ key: String, _ format: Format = .text, importance: Int = .max,
        isSummed: Bool = false, isOptional: Bool = false
    ) {
        self.title = title
        self.key = key
        self.importance = importance
        self.format = format
        self.isSummed = isSummed
        self.isOptional = isOptional
    }
}

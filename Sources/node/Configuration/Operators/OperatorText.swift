/// Numbers in sentences and tables for operators.
public enum OperatorText {
    /// `1 shard`, `2 shards`.
    public static func count(_ number: Int, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }

    /// A number with at most one decimal; `0` for one that is not finite or beyond 10¹⁵.
    public static func decimal(_ number: Double) -> String {
        guard number.isFinite, abs(number) < 1e15 else { return "0" }
        let tenths = Int((number * 10).rounded())
        return tenths % 10 == 0
            ? String(tenths / 10)
            : "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }
}

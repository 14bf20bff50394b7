internal import JSON

extension ServeOptions {
    /// The output of `confab config show`: every effective setting and its source.
    public func report(_ format: OutputFormat) -> String {
        switch format {
        case .text:
            let rows =
                [("SETTING", "VALUE", "SOURCE")]
                + self.settings.map { ($0.name, ($0.value ?? "-").escaped, $0.source.description) }
            let nameWidth = rows.map(\.0.count).max() ?? 0
            let valueWidth = rows.map(\.1.count).max() ?? 0
            return rows.map { row in
                let name = row.0 + String(repeating: " ", count: nameWidth - row.0.count)
                let value = row.1 + String(repeating: " ", count: valueWidth - row.1.count)
                return "\(name)  \(value)  \(row.2)\n"
            }.joined()
        case .json:
            let settings = self.settings.map { setting in
                JSONTree.object([
                    .init("name", .string(setting.name)),
                    .init("value", setting.value.map { .string($0) } ?? .null),
                    .init("source", .string(setting.source.description)),
                ])
            }
            return JSONTree.object([
                .init("schema_version", 1), .init("settings", .array(settings)),
            ]).text + "\n"
        }
    }
}

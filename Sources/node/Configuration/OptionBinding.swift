/// An option with the property that it sets.
struct OptionBinding<Target>: Sendable {
    let spec: OptionSpec
    /// Clears a list before its first value is added.
    let reset: @Sendable (inout Target) -> Void
    /// Applies one value.
    let apply: @Sendable (inout Target, String) throws(ValueProblem) -> Void

    private init(
        spec: OptionSpec, reset: @escaping @Sendable (inout Target) -> Void = { _ in },
        apply: @escaping @Sendable (inout Target, String) throws(ValueProblem) -> Void
    ) {
        self.spec = spec
        self.reset = reset
        self.apply = apply
    }

    /// An option that sets one property.
    init<Value>(
        _ spec: OptionSpec, sets property: any WritableKeyPath<Target, Value> & Sendable,
        _ parse: @escaping @Sendable (String) throws(ValueProblem) -> Value
    ) {
        self.init(spec: spec) { (target: inout Target, text: String) throws(ValueProblem) in
            target[keyPath: property] = try parse(text)
        }
    }

    /// An option that fills a list and replaces its default.
    init<Value>(
        _ spec: OptionSpec, lists property: any WritableKeyPath<Target, [Value]> & Sendable,
        _ parse: @escaping @Sendable (String) throws(ValueProblem) -> [Value]
    ) {
        self.init(
            spec: spec, reset: { $0[keyPath: property] = [] },
            apply: { (target: inout Target, text: String) throws(ValueProblem) in
                target[keyPath: property] += try parse(text)
            })
    }

    /// An option whose every value changes a part of a property.
    init<Value>(
        _ spec: OptionSpec, changes property: any WritableKeyPath<Target, Value> & Sendable,
        reset: @escaping @Sendable (inout Value) -> Void = { _ in },
        _ change: @escaping @Sendable (inout Value, String) throws(ValueProblem) -> Void
    ) {
        self.init(
            spec: spec, reset: { reset(&$0[keyPath: property]) },
            apply: { (target: inout Target, text: String) throws(ValueProblem) in
                try change(&target[keyPath: property], text)
            })
    }
}

/// The entry point of `script/fuzz agents`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    AgentsProperty.check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

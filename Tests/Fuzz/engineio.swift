/// The entry point of `script/fuzz engineio`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    EngineProperty.check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

/// The entry point of `script/fuzz jwt`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    TokenProperty.check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

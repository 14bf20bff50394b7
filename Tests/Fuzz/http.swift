/// The entry point of `script/fuzz http`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    WireProperty.checkHTTP(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

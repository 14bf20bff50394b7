import Testing
@Suite struct LinkTests { @Test func x() {} }

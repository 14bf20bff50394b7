import Testing

@testable import Telemetry

@Suite("The log level setting")
struct LogLevelSettingTests {
    @Test("returns to the configured level when the ordered time is over")
    func expiry() {
        var setting = LogLevelSetting(configured: .info)
        setting.order(.debug, until: 1000)
        #expect(setting.level == .debug && setting.endsAt == 1000)
        let isOverBefore = setting.expire(at: 999)
        #expect(!isOverBefore && setting.level == .debug)
        let isOver = setting.expire(at: 1000)
        #expect(isOver && setting.level == .info && setting.endsAt == nil)
        let isOverAgain = setting.expire(at: 2000)
        #expect(!isOverAgain)
    }

    @Test("keeps an ordered level through a reload, and then returns to the reloaded one")
    func reload() {
        var setting = LogLevelSetting(configured: .info)
        setting.order(.debug, until: 1000)
        setting.configure(.warning)
        #expect(setting.level == .debug)
        _ = setting.expire(at: 1000)
        #expect(setting.level == .warning)
    }

    @Test("keeps a level that was ordered without an end until the next reload")
    func permanent() {
        var setting = LogLevelSetting(configured: .info)
        setting.order(.error, until: nil)
        #expect(setting.level == .error && setting.endsAt == nil)
        let isOver = setting.expire(at: .max)
        #expect(!isOver)
        // A later order for a time returns to it.
        setting.order(.debug, until: 10)
        _ = setting.expire(at: 10)
        #expect(setting.level == .error)
        setting.configure(.info)
        #expect(setting.level == .info)
    }

    @Test("replaces an order by the next one")
    func replacement() {
        var setting = LogLevelSetting(configured: .info)
        setting.order(.debug, until: 1000)
        setting.order(.warning, until: 500)
        let isOver = setting.expire(at: 500)
        #expect(isOver && setting.level == .info)
        setting.order(.debug, until: 1000)
        setting.order(.warning, until: nil)
        let isOverLater = setting.expire(at: 1000)
        #expect(!isOverLater && setting.level == .warning)
    }
}

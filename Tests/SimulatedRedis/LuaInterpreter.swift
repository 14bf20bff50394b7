import CLua

/// Runs the scripts of a simulated Redis with the system's Lua 5.1, the version that Redis has.
final class LuaInterpreter {
    private let state: OpaquePointer
    /// Executes a command for the running script.
    private var execute: ((CommandArguments) -> RESPValue)?

    // Lua's errors unwind the C stack, which Swift's functions must not see. So the function that
    // Swift provides returns errors, and these ones raise them.
    private static let library = """
        local raw = ...
        redis = {}
        function redis.call(...)
          local is_done, value = raw(...)
          if is_done then return value end
          error({err = value}, 0)
        end
        function redis.pcall(...)
          local is_done, value = raw(...)
          if is_done then return value end
          return {err = value}
        end
        function redis.error_reply(text)
          if string.sub(text, 1, 1) == '-' then text = string.sub(text, 2) end
          if not string.find(text, ' ', 1, true) then text = 'ERR ' .. text end
          return {err = text}
        end
        function redis.status_reply(text) return {ok = text} end
        """

    init() {
        guard let state = luaL_newstate() else { preconditionFailure("Lua has no memory.") }
        self.state = state
        luaL_openlibs(state)
        precondition(self.load(Array(Self.library.utf8), name: "library") == nil)
        lua_pushlightuserdata(state, Unmanaged.passUnretained(self).toOpaque())
        lua_pushcclosure(state, Self.callback, 1)
        precondition(lua_pcall(state, 1, 0, 0) == 0, "The library of scripts fails.")
    }

    deinit { lua_close(self.state) }

    /// Pushes the compiled text. Returns the error, if any.
    private func load(_ source: [UInt8], name: String) -> String? {
        let code = source.withUnsafeBytes {
            luaL_loadbuffer(
                self.state, $0.bindMemory(to: CChar.self).baseAddress, source.count, name)
        }
        guard code != 0 else { return nil }
        defer { lua_settop(self.state, -2) }
        return self.text(at: -1)
    }

    /// Compiles a script and keeps it under its digest.
    func add(_ source: [UInt8], digest: String) throws(RedisFailure) {
        var source = source
        // Redis reads the first line: `#!lua flags=…`.
        if source.starts(with: Array("#!".utf8)),
            let end = source.firstIndex(of: UInt8(ascii: "\n"))
        {
            source.removeFirst(end)
        }
        if let error = self.load(source, name: "@user_script") {
            throw RedisFailure("ERR Error compiling script (new function): \(error)")
        }
        lua_setfield(self.state, LUA_REGISTRYINDEX, digest)
    }

    /// Runs a script that was added.
    func run(
        _ digest: String, keys: ArraySlice<[UInt8]>, arguments: ArraySlice<[UInt8]>,
        _ execute: @escaping (CommandArguments) -> RESPValue
    ) -> RESPValue {
        self.execute = execute
        defer {
            self.execute = nil
            lua_settop(self.state, 0)
        }
        for (name, values) in [("KEYS", keys), ("ARGV", arguments)] {
            self.push(values)
            lua_setfield(self.state, LUA_GLOBALSINDEX, name)
        }
        lua_getfield(self.state, LUA_REGISTRYINDEX, digest)
        guard lua_pcall(self.state, 0, 1, 0) == 0 else {
            let place = " script: \(digest), on @user_script:0."
            if case .error(let text) = self.value(at: -1) { return .error(text + place) }
            return .error("ERR \(self.text(at: -1) ?? "no reason")" + place)
        }
        return self.value(at: -1)
    }

    // MARK: Values

    private func push(_ values: ArraySlice<[UInt8]>) {
        lua_createtable(self.state, Int32(values.count), 0)
        for (index, value) in values.enumerated() {
            Self.push(value, to: self.state)
            lua_rawseti(self.state, -2, Int32(index + 1))
        }
    }

    private static func push(_ bytes: [UInt8], to state: OpaquePointer) {
        bytes.withUnsafeBytes {
            lua_pushlstring(state, $0.bindMemory(to: CChar.self).baseAddress, bytes.count)
        }
    }

    private static func push(_ value: RESPValue, to state: OpaquePointer) {
        switch value {
        case .integer(let number): lua_pushnumber(state, Double(number))
        case .bulk(let bytes): self.push(bytes, to: state)
        case .null, .nullArray: lua_pushboolean(state, 0)
        case .status(let text):
            lua_createtable(state, 0, 1)
            self.push(Array(text.utf8), to: state)
            lua_setfield(state, -2, "ok")
        case .error(let text): self.push(Array(text.utf8), to: state)
        case .array(let values):
            lua_checkstack(state, 4)
            lua_createtable(state, Int32(values.count), 0)
            for (index, value) in values.enumerated() {
                self.push(value, to: state)
                lua_rawseti(state, -2, Int32(index + 1))
            }
        }
    }

    private static func bytes(_ state: OpaquePointer, at index: Int32) -> [UInt8]? {
        var length = 0
        guard let text = lua_tolstring(state, index, &length) else { return nil }
        return Array(UnsafeRawBufferPointer(start: text, count: length))
    }

    private func text(at index: Int32) -> String? {
        Self.bytes(self.state, at: index).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The reply that a script's value means.
    private func value(at index: Int32) -> RESPValue {
        switch lua_type(self.state, index) {
        case LUA_TSTRING: return .bulk(Self.bytes(self.state, at: index) ?? [])
        case LUA_TNUMBER: return .integer(Int64(lua_tonumber(self.state, index)))
        case LUA_TBOOLEAN: return lua_toboolean(self.state, index) == 1 ? .integer(1) : .null
        case LUA_TTABLE:
            if let text = self.field("err", at: index) { return .error(text) }
            if let text = self.field("ok", at: index) { return .status(text) }
            var values: [RESPValue] = []
            lua_checkstack(self.state, 4)
            lua_pushvalue(self.state, index)
            defer { lua_settop(self.state, -2) }
            while true {
                lua_rawgeti(self.state, -1, Int32(values.count + 1))
                defer { lua_settop(self.state, -2) }
                guard lua_type(self.state, -1) != LUA_TNIL else { return .array(values) }
                values.append(self.value(at: -1))
            }
        default: return .null
        }
    }

    private func field(_ name: String, at index: Int32) -> String? {
        lua_getfield(self.state, index, name)
        defer { lua_settop(self.state, -2) }
        return lua_type(self.state, -1) == LUA_TSTRING ? self.text(at: -1) : nil
    }

    // MARK: Commands

    /// The index of the callback's only upvalue (`lua_upvalueindex(1)`).
    private static let upvalueIndex = LUA_GLOBALSINDEX - 1

    private static let callback: lua_CFunction = { state in
        guard let state, let pointer = lua_touserdata(state, LuaInterpreter.upvalueIndex) else {
            return 0
        }
        let interpreter = Unmanaged<LuaInterpreter>.fromOpaque(pointer).takeUnretainedValue()
        let reply = interpreter.call(state)
        if case .error = reply { lua_pushboolean(state, 0) } else { lua_pushboolean(state, 1) }
        LuaInterpreter.push(reply, to: state)
        return 2
    }

    private func call(_ state: OpaquePointer) -> RESPValue {
        var parts: [[UInt8]] = []
        for index in 1...max(1, lua_gettop(state)) {
            switch lua_type(state, index) {
            case LUA_TNUMBER: parts.append(Self.text(of: lua_tonumber(state, index)))
            case LUA_TSTRING: parts.append(Self.bytes(state, at: index) ?? [])
            default:
                return .error(
                    "ERR Lua redis lib command arguments must be strings or integers")
            }
        }
        return self.execute?(CommandArguments(parts)) ?? .error("ERR no script is running")
    }

    /// As Redis writes a number: with 17 digits, and whole numbers without a fraction.
    private static func text(of number: Double) -> [UInt8] {
        let whole = Int64(exactly: number)
        return Array((whole.map { String($0) } ?? "\(number)").utf8)
    }
}

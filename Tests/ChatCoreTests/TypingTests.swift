import ChatModel
import Testing

@testable import ChatCore

@Suite("Typing")
struct TypingTests {
    @Test("is told to everybody, and ends by itself after 6 s")
    func ends() {
        var stage = Stage(of: [ann])
        #expect(stage.type(by: ann) == ["event: ann types", "answer: done"])
        #expect(stage.pass(.milliseconds(5999)) == [])
        #expect(stage.pass(.milliseconds(1)) == ["event: ann stops typing"])
        #expect(stage.pass(.seconds(60)) == [])
    }

    @Test("lasts as long as it is said again")
    func lasts() {
        var stage = Stage(of: [ann])
        _ = stage.type(by: ann)
        _ = stage.pass(.seconds(4))
        #expect(stage.type(by: ann) == ["event: ann types", "answer: done"])
        #expect(stage.pass(.milliseconds(5999)) == [])
        #expect(stage.pass(.milliseconds(1)) == ["event: ann stops typing"])
    }

    @Test("ends for each at a time of its own")
    func each() {
        var stage = Stage(of: [ann, bob])
        _ = stage.type(by: ann)
        _ = stage.pass(.seconds(2))
        _ = stage.type(by: bob)
        #expect(stage.pass(.seconds(4)) == ["event: ann stops typing"])
        #expect(stage.pass(.seconds(2)) == ["event: bob stops typing"])
    }

    @Test("ends when it is said, and whoever does not type has nothing to end")
    func stops() {
        var stage = Stage(of: [ann, bob])
        _ = stage.type(by: ann)
        #expect(stage.type(false, by: bob) == ["answer: done"])
        #expect(stage.type(false, by: ann) == ["event: ann stops typing", "answer: done"])
        #expect(stage.pass(.seconds(10)) == [])
    }

    @Test("ends with the typist's last connection")
    func leaves() {
        var stage = Stage(of: [ann])
        _ = stage.enter(ann, on: east)
        _ = stage.enter(ann, on: west)
        _ = stage.type(by: ann)
        #expect(stage.leave(ann, on: east) == [])
        #expect(stage.leave(ann, on: west) == ["event: ann stops typing"])
    }

    @Test("of more than some people is not told")
    func bound() {
        var limits = ChatLimits()
        limits.typistsPerConversation = 2
        var stage = Stage(of: [ann, bob, cid], limits)
        _ = stage.type(by: ann)
        _ = stage.type(by: bob)
        #expect(stage.type(by: cid) == ["answer: done"])
        #expect(stage.type(by: bob) == ["event: bob types", "answer: done"])
        _ = stage.type(false, by: ann)
        #expect(stage.type(by: cid) == ["event: cid types", "answer: done"])
    }
}

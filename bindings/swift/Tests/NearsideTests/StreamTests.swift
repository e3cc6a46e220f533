import Foundation
import Nearside
import Testing
@Suite struct S {
  @Test func x() async throws {
    let n = try Nearside.scripted(config: Config(directory: "/tmp/x"), script: Script(steps: [.reasoning(text: "hm so"), .text(text: "a b c")]))
    var t = ""; var r = ""
    for try await c in n.chat(ChatRequest(messages: [.user("hi")])) { switch c { case .text(let x): t += x; case .reasoning(let x): r += x; default: break } }
    #expect(t == "a b c"); #expect(r == "hm so")
    #expect(throws: NearsideError.self) { try ModelRef("") }
    do { _ = try ModelRef("") } catch { print(error.localizedDescription, "\(error)") }
    do { try panicOnPurpose(text: "boom") } catch { print(error) }
  }
  @MainActor @Test func m() async throws {
    let n = try Nearside.scripted(config: Config(directory: "/tmp/x"), script: Script(steps: [.text(text: "a b c")]))
    var t = ""
    for try await c in n.chat(ChatRequest(messages: [.user("hi")])) { if case .text(let x) = c { t += x } }
    #expect(t == "a b c")
  }
}

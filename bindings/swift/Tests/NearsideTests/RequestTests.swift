import NearsideKit
import Testing

extension Scenarios {
    /// Requests and their defaults.
    @Suite struct RequestTests {
        @Test func aPlainQuestionNeedsOnlyItsMessages() {
            let plain = ChatRequest(messages: [
                .system("Be brief."), .user("Why?"), .assistant("So."), .user("And?"),
            ])
            let spelledOut = ChatRequest(
                messages: [
                    ChatMessage(role: .system, parts: [.text(text: "Be brief.")]),
                    ChatMessage(role: .user, parts: [.text(text: "Why?")]),
                    ChatMessage(role: .assistant, parts: [.text(text: "So.")]),
                    ChatMessage(role: .user, parts: [.text(text: "And?")]),
                ],
                model: nil,
                provider: nil,
                mode: .preferOnDevice,
                sensitivity: .personal,
                sampling: SamplingOptions(
                    preset: nil, temperature: nil, topP: nil, topK: nil, minP: nil, repeatPenalty: nil,
                    frequencyPenalty: nil, presencePenalty: nil, seed: nil, stop: []),
                reasoning: .auto,
                output: .text,
                tools: [],
                limits: RequestLimits(maxTokens: nil, maxUsd: nil, deadlineMs: nil),
                webSearch: false,
                consent: nil,
                purpose: nil)
            #expect(plain == spelledOut)
        }

        @Test func aModelReferenceIsReadOrRefused() throws {
            let model = try ModelRef.parse("hf:ORG/REPO:Q8_0")
            #expect(model == .hub(repo: "ORG/REPO", revision: nil, file: .quantization(label: "Q8_0")))
            #expect(throws: NearsideError.self) { try ModelRef.parse("") }
        }
    }
}

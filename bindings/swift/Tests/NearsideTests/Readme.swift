// The code of README.md. Compiled here; scripts/check-readme.sh checks that the two are equal.

import Foundation
import NearsideKit

func readme(directory: URL, view: ReadmeView) async throws {
    let nearside = try Nearside(directory: directory)  // an app: try await Nearside.open()
    let model = try ModelRef.parse("hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF:Q8_0")

    let fit = try await nearside.fit(model)  // before any download: only the head of the file is fetched, and kept
    if fit.verdict == .tooLarge { return view.show(fit.suggestions) }

    for try await event in nearside.download(model) {  // resumes, verifies, never leaves half a model
        if case .progress(let done, let total, _) = event { view.bar = Double(done) / Double(total) }
    }

    let request = ChatRequest(messages: [.user("Why do the tides come twice a day?")])
    for try await chunk in nearside.chat(request) {  // cancelling the task cancels the request
        switch chunk {
        case .reasoning(let text): view.thoughts += text
        case .text(let text): view.answer += text
        case .done(let summary): view.tokens = summary.usage.completionTokens
        default: break
        }
    }
}

/// A minimal screen for the snippet.
final class ReadmeView {
    var bar = 0.0
    var thoughts = ""
    var answer = ""
    var tokens: UInt32 = 0

    func show(_ suggestions: [FitSuggestion]) {
        answer = suggestions.map(\.text).joined(separator: "\n")
    }
}

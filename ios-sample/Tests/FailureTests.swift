// What the user is told of a failure.

import Foundation
import NearsideKit
import Testing

@testable import NearsideSample

struct FailureTests {
    @Test func everyReasonOfTheLibraryHasASentenceOfItsOwn() {
        let reasons = ErrorReason.allCases.map(FailureReason.init)
        #expect(Set(reasons) == Set(FailureReason.allCases))
        #expect(Set(reasons.map(\.sentence)).count == ErrorReason.allCases.count)
    }

    @Test func theLibrarysTextIsBelowTheSentence() {
        let error = NearsideError(
            kind: .unauthorized, reason: .termsNotAccepted, detail: "`o/r` is gated", retryAfterMs: 1_500,
            helpUrl: "https://example.org/o/r")
        let failure = BrainError(error)
        #expect(failure.reason == .termsNotAccepted)
        #expect(failure.title == FailureReason.termsNotAccepted.sentence)
        #expect(failure.detail.hasPrefix("`o/r` is gated\n"))
        #expect(failure.page?.absoluteString == "https://example.org/o/r")
        #expect(BrainError(failure) == failure)
    }

    @Test func anyOtherFailureKeepsItsText() {
        let failure = BrainError(CocoaError(.fileNoSuchFile))
        #expect(failure.reason == nil && !failure.text.isEmpty)
        #expect(failure.summary == failure.text)
    }
}

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

    @Test func aReasonHasTheActionsThatRemoveItsCause() {
        let actions: [FailureAction: Set<FailureReason>] = [
            .askAgain: [.consentRequired],
            .tryAgain: [
                .offline, .unreachable, .localNetworkDenied, .noResponse, .interrupted, .deadlineExceeded,
                .providerFault, .storageFailed, .rateLimited, .circuitOpen, .overloaded, .busy, .closed,
            ],
            .startNewChat: [.contextExceeded],
            .showProviders: [.keyMissing, .keyRejected, .keyForbidden],
            .openPage: [.noCredit, .termsNotAccepted],
            .showRouting: [.consentRequired, .policyForbids],
            .showCaps: [.costCap],
            .showModels: [.unknownModel, .modelNotInstalled, .modelTooLarge, .unsupported, .damaged, .diskFull],
        ]
        #expect(Set(actions.keys) == Set(FailureAction.allCases))
        #expect(Set(FailureAction.allCases.map(\.title)).count == FailureAction.allCases.count)
        for reason in FailureReason.allCases {
            #expect(Set(reason.actions) == Set(actions.filter { $0.value.contains(reason) }.keys), "\(reason)")
        }
    }

    @Test func aDecisionWithoutARouteSaysWhenToTryAgain() {
        let text = "`groq` failed repeatedly just now"
        let decision = RouteDecision.noRoute(
            rule: .reachability, kind: .busy, reason: .circuitOpen, detail: text, skipped: [], retryAfterMs: 9_000)
        var failure = BrainError(text, reason: .circuitOpen)
        failure.retrySeconds = 9
        #expect(AnswerDecision(decision) == .noRoute(failure))
    }

    @Test func aPageComesBeforeTheScreenAndIsOfferedWhateverTheReason() {
        func actions(_ reason: FailureReason?, hasPage: Bool) -> [FailureAction] {
            var failure = BrainError("", reason: reason)
            if hasPage { failure.page = URL(string: "https://example.org/keys") }
            return failure.actions
        }
        #expect(actions(.keyRejected, hasPage: true) == [.openPage, .showProviders])
        #expect(actions(.keyRejected, hasPage: false) == [.showProviders])
        #expect(actions(.noCredit, hasPage: true) == [.openPage])
        #expect(actions(nil, hasPage: true) == [.openPage])
        #expect(actions(.noCredit, hasPage: false).isEmpty)
        #expect(actions(.bug, hasPage: false).isEmpty)
    }

    @Test func everyRuleOfTheRouterHasATextOfItsOwn() {
        #expect(Set(RoutingRule.allCases.map(\.title)).count == RoutingRule.allCases.count)
    }

    @Test func anyOtherFailureKeepsItsText() {
        let failure = BrainError(CocoaError(.fileNoSuchFile))
        #expect(failure.reason == nil && !failure.text.isEmpty)
        #expect(failure.summary == failure.text)
    }
}

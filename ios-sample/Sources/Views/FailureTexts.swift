// A failure as the user sees it: a sentence in their language that says what to do, with the library's text below it.

import SwiftUI

extension FailureReason {
    /// What happened, and what the user can do.
    var sentence: String {
        switch self {
        case .consentRequired: Strings.failureConsentRequired()
        case .policyForbids: Strings.failurePolicyForbids()
        case .costCap: Strings.failureCostCap()
        case .contentFiltered: Strings.failureContentFiltered()
        case .keyMissing: Strings.failureKeyMissing()
        case .keyRejected: Strings.failureKeyRejected()
        case .keyForbidden: Strings.failureKeyForbidden()
        case .noCredit: Strings.failureNoCredit()
        case .termsNotAccepted: Strings.failureTermsNotAccepted()
        case .offline: Strings.failureOffline()
        case .unreachable: Strings.failureUnreachable()
        case .localNetworkDenied: Strings.failureLocalNetworkDenied()
        case .noResponse: Strings.failureNoResponse()
        case .interrupted: Strings.failureInterrupted()
        case .deadlineExceeded: Strings.failureDeadlineExceeded()
        case .providerFault: Strings.failureProviderFault()
        case .contextExceeded: Strings.failureContextExceeded()
        case .unknownModel: Strings.failureUnknownModel()
        case .notFound: Strings.failureNotFound()
        case .invalidParameter: Strings.failureInvalidParameter()
        case .modelNotInstalled: Strings.failureModelNotInstalled()
        case .modelTooLarge: Strings.failureModelTooLarge()
        case .unsupported: Strings.failureUnsupported()
        case .diskFull: Strings.failureDiskFull()
        case .accessDenied: Strings.failureAccessDenied()
        case .damaged: Strings.failureDamaged()
        case .newerVersion: Strings.failureNewerVersion()
        case .storageFailed: Strings.failureStorageFailed()
        case .rateLimited: Strings.failureRateLimited()
        case .circuitOpen: Strings.failureCircuitOpen()
        case .overloaded: Strings.failureOverloaded()
        case .busy: Strings.failureBusy()
        case .closed: Strings.failureClosed()
        case .bug: Strings.failureBug()
        }
    }
}

extension BrainError {
    /// The sentence in the user's language; of a failure without a reason, that it did not work.
    var title: String { reason?.sentence ?? Strings.failed() }

    /// The library's text, and when to try again.
    var detail: String {
        guard let retrySeconds else { return text }
        return text + "\n" + Strings.failureRetryIn(Numbers.seconds(retrySeconds.rounded(.up)))
    }

    /// Both, where there is room for one text only.
    var summary: String { reason == nil ? text : title + "\n" + detail }
}

extension FailureAction {
    var title: String {
        switch self {
        case .openPage: Strings.failureOpenPage()
        case .askAgain: Strings.actionAskAgain()
        case .tryAgain: Strings.actionTryAgain()
        case .startNewChat: Strings.newChat()
        case .showModels: Strings.actionModels()
        case .showProviders: Strings.actionProviders()
        case .showRouting: Strings.actionRouting()
        case .showCaps: Strings.actionCaps()
        }
    }
}

/// The buttons of a failure. `onRepeat` repeats the work that failed; `nil` if that is not offered here. `onOpen` is called
/// before another screen is shown.
struct FailureButtons: View {
    let failure: BrainError
    var onRepeat: (@MainActor () -> Void)?
    var onOpen: @MainActor () -> Void = {}
    @Environment(AppModel.self) private var app: AppModel?
    @Environment(\.openURL) private var openURL

    var body: some View {
        ForEach(failure.actions, id: \.self) { action in
            if isOffered(action) {
                Button(action.title) {
                    if action == .openPage, let page = failure.page { return openURL(page) }
                    if action.repeats {
                        onRepeat?()
                    } else {
                        onOpen()
                        app?.show(action)
                    }
                }
                .accessibilityIdentifier("failure.\(action)")
            }
        }
    }

    private func isOffered(_ action: FailureAction) -> Bool {
        if action == .openPage { return true }
        return action.repeats ? onRepeat != nil : app?.offers(action) == true
    }
}

/// A failure in place.
struct FailureView: View {
    let failure: BrainError
    var onRepeat: (@MainActor () -> Void)?
    let onDismiss: @MainActor () -> Void

    var body: some View {
        HStack(alignment: .firstTextBaseline, spacing: Theme.gap) {
            VStack(alignment: .leading, spacing: Theme.tight) {
                Label(failure.title, systemImage: "exclamationmark.triangle.fill")
                    .font(.subheadline)
                    .foregroundStyle(Theme.caution)
                Text(failure.detail).font(.footnote).foregroundStyle(.secondary)
                FailureButtons(failure: failure, onRepeat: onRepeat).font(.footnote)
            }
            Spacer(minLength: 0)
            Button(action: onDismiss) { Image(systemName: "xmark") }
                .accessibilityLabel(Strings.dismiss())
        }
        .card()
    }
}

extension View {
    /// Shows a failure in an alert with its buttons.
    func failureAlert(_ failure: Binding<BrainError?>) -> some View { FailureAlert(content: self, failure: failure) }
}

private struct FailureAlert<Content: View>: View {
    let content: Content
    @Binding var failure: BrainError?

    var body: some View {
        content.alert(failure?.title ?? "", isPresented: $failure.isPresent) {
            if let failure { FailureButtons(failure: failure) }
            Button(Strings.ok(), role: .cancel) {}
        } message: {
            Text(failure?.detail ?? "")
        }
    }
}

extension BrainError? {
    /// Whether a value is present; setting `false` removes it.
    fileprivate var isPresent: Bool {
        get { self != nil }
        set { if !newValue { self = nil } }
    }
}

// What the user can do in this app about a failure: which screen its reason leads to.

enum FailureAction: CaseIterable, Sendable {
    /// The page of the failure, such as the provider's account or the terms of a model.
    case openPage
    case showModels, showProviders, showRouting, showCaps

    /// The screen of this app; `nil` for a page.
    var destination: (tab: AppTab, section: SettingsSection?)? {
        switch self {
        case .openPage: nil
        case .showModels: (.models, nil)
        case .showProviders: (.settings, .providers)
        case .showRouting: (.settings, .routing)
        case .showCaps: (.settings, .caps)
        }
    }
}

extension FailureReason {
    /// Exhaustive: a new reason does not compile until it is decided. `nil`: there is no screen that would help.
    var action: FailureAction? {
        switch self {
        case .keyMissing, .keyRejected, .keyForbidden: .showProviders
        case .noCredit, .termsNotAccepted: .openPage
        case .consentRequired, .policyForbids: .showRouting
        case .costCap: .showCaps
        case .unknownModel, .modelNotInstalled, .modelTooLarge, .damaged, .diskFull: .showModels
        case .contentFiltered, .offline, .unreachable, .noResponse, .interrupted, .deadlineExceeded, .providerFault,
            .contextExceeded, .notFound, .invalidParameter, .unsupported, .accessDenied, .newerVersion, .storageFailed,
            .rateLimited, .circuitOpen, .overloaded, .busy, .closed, .bug:
            nil
        }
    }
}

extension BrainError {
    /// The page, if the failure has one, whatever its reason; then the screen of its reason.
    var actions: [FailureAction] {
        let screen = reason?.action.flatMap { $0 == .openPage ? nil : $0 }
        return (page == nil ? [] : [.openPage]) + [screen].compactMap(\.self)
    }
}

// What the user can do in this app about a failure: the buttons of its reason.

enum FailureAction: CaseIterable, Sendable {
    /// The page of the failure, such as the provider's account or the terms of a model.
    case openPage
    /// The consent sheet again, after a refusal. Only the chat that was refused offers it.
    case askAgain
    /// The same work again. Only the screen that failed offers it.
    case tryAgain
    case startNewChat, showModels, showProviders, showRouting, showCaps

    /// Whether it repeats the work that failed.
    var repeats: Bool { self == .askAgain || self == .tryAgain }

    /// The screen of this app; `nil` for a page, and for what happens where the failure is shown.
    var destination: (tab: AppTab, section: SettingsSection?)? {
        switch self {
        case .openPage, .askAgain, .tryAgain: nil
        case .startNewChat: (.chats, nil)
        case .showModels: (.models, nil)
        case .showProviders: (.settings, .providers)
        case .showRouting: (.settings, .routing)
        case .showCaps: (.settings, .caps)
        }
    }
}

extension FailureReason {
    /// Whether the same request to another address of the same server would fail as well.
    var isOfNetwork: Bool { [.offline, .unreachable, .noResponse, .interrupted, .deadlineExceeded].contains(self) }

    /// Exhaustive: a new reason does not compile until it is decided. Empty: the sentence alone says what helps.
    var actions: [FailureAction] {
        switch self {
        case .consentRequired: [.askAgain, .showRouting]
        case .policyForbids: [.showRouting]
        case .costCap: [.showCaps]
        case .keyMissing, .keyRejected, .keyForbidden: [.showProviders]
        case .noCredit, .termsNotAccepted: [.openPage]
        case .offline, .unreachable, .localNetworkDenied, .noResponse, .interrupted, .deadlineExceeded,
            .providerFault, .storageFailed, .rateLimited, .circuitOpen, .overloaded, .busy, .closed:
            [.tryAgain]
        case .contextExceeded: [.startNewChat]
        case .unknownModel, .modelNotInstalled, .modelTooLarge, .unsupported, .damaged, .diskFull: [.showModels]
        case .contentFiltered, .notFound, .invalidParameter, .accessDenied, .newerVersion, .bug: []
        }
    }
}

extension BrainError {
    /// The page, if the failure has one, whatever its reason; then the actions of its reason.
    var actions: [FailureAction] {
        (page == nil ? [] : [.openPage]) + (reason?.actions ?? []).filter { $0 != .openPage }
    }
}

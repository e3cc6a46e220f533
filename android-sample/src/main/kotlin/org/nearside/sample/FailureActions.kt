/*
 * What the user can do in this app about a failure: the buttons of its reason.
 */
package org.nearside.sample

enum class FailureAction(val title: Strings) {
    /** The page of the failure, such as the provider's account or the terms of a model. */
    OpenPage(Strings.FailureOpenPage),

    /** The consent sheet again, after a refusal. Only the chat that was refused offers it. */
    AskAgain(Strings.ActionAskAgain),

    /** The same work again. Only the screen that failed offers it. */
    TryAgain(Strings.ActionTryAgain),
    StartNewChat(Strings.NewChat),

    /** The system's settings of this app. */
    OpenAppSettings(Strings.ActionAppSettings),
    ShowModels(Strings.ActionModels),
    ShowProviders(Strings.ActionProviders),
    ShowRouting(Strings.ActionRouting),
    ShowCaps(Strings.ActionCaps),
    ;

    /** Whether it repeats the work that failed. */
    val repeats: Boolean get() = this == AskAgain || this == TryAgain

    /** The screen of this app; `null` for a page, and for what happens where the failure is shown. */
    val destination: Pair<Tab, SettingsPage?>?
        get() = when (this) {
            OpenPage, AskAgain, TryAgain, OpenAppSettings -> null
            StartNewChat -> Tab.Chats to null
            ShowModels -> Tab.Models to null
            ShowProviders -> Tab.Settings to SettingsPage.Providers
            ShowRouting -> Tab.Settings to SettingsPage.Answers
            ShowCaps -> Tab.Settings to SettingsPage.Caps
        }
}

/** Exhaustive: a new reason does not compile until it is decided. Empty: the sentence alone says what helps. */
val FailureReason.actions: List<FailureAction>
    get() = when (this) {
        FailureReason.ConsentRequired -> listOf(FailureAction.AskAgain, FailureAction.ShowRouting)
        FailureReason.PolicyForbids -> listOf(FailureAction.ShowRouting)
        FailureReason.CostCap -> listOf(FailureAction.ShowCaps)
        FailureReason.KeyMissing,
        FailureReason.KeyRejected,
        FailureReason.KeyForbidden,
        -> listOf(FailureAction.ShowProviders)
        FailureReason.NoCredit,
        FailureReason.TermsNotAccepted,
        -> listOf(FailureAction.OpenPage)
        FailureReason.Offline,
        FailureReason.Unreachable,
        FailureReason.NoResponse,
        FailureReason.Interrupted,
        FailureReason.DeadlineExceeded,
        FailureReason.ProviderFault,
        FailureReason.StorageFailed,
        FailureReason.RateLimited,
        FailureReason.CircuitOpen,
        FailureReason.Overloaded,
        FailureReason.Busy,
        FailureReason.Closed,
        -> listOf(FailureAction.TryAgain)
        FailureReason.ContextExceeded -> listOf(FailureAction.StartNewChat)
        FailureReason.UnknownModel,
        FailureReason.ModelNotInstalled,
        FailureReason.ModelTooLarge,
        FailureReason.Unsupported,
        FailureReason.Damaged,
        FailureReason.DiskFull,
        -> listOf(FailureAction.ShowModels)
        FailureReason.LocalNetworkDenied -> listOf(FailureAction.OpenAppSettings, FailureAction.TryAgain)
        FailureReason.ContentFiltered,
        FailureReason.NotFound,
        FailureReason.InvalidParameter,
        FailureReason.AccessDenied,
        FailureReason.NewerVersion,
        FailureReason.Bug,
        -> emptyList()
    }

/** The page, if the failure has one, whatever its reason; then the actions of its reason. */
val Failure.actions: List<FailureAction>
    get() = listOfNotNull(FailureAction.OpenPage.takeIf { page != null }) +
        reason?.actions.orEmpty().filter { it != FailureAction.OpenPage }

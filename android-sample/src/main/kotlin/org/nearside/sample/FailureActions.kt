/*
 * What the user can do in this app about a failure: which screen its reason leads to.
 */
package org.nearside.sample

enum class FailureAction(val title: Strings) {
    /** The page of the failure, such as the provider's account or the terms of a model. */
    OpenPage(Strings.FailureOpenPage),
    ShowModels(Strings.ActionModels),
    ShowProviders(Strings.ActionProviders),
    ShowRouting(Strings.ActionRouting),
    ShowCaps(Strings.ActionCaps),
    ;

    /** The screen of this app; `null` for a page. */
    val destination: Pair<Tab, SettingsPage?>?
        get() = when (this) {
            OpenPage -> null
            ShowModels -> Tab.Models to null
            ShowProviders -> Tab.Settings to SettingsPage.Providers
            ShowRouting -> Tab.Settings to SettingsPage.Answers
            ShowCaps -> Tab.Settings to SettingsPage.Caps
        }
}

/** Exhaustive: a new reason does not compile until it is decided. `null`: there is no screen that would help. */
val FailureReason.action: FailureAction?
    get() = when (this) {
        FailureReason.KeyMissing,
        FailureReason.KeyRejected,
        FailureReason.KeyForbidden,
        -> FailureAction.ShowProviders
        FailureReason.NoCredit,
        FailureReason.TermsNotAccepted,
        -> FailureAction.OpenPage
        FailureReason.ConsentRequired,
        FailureReason.PolicyForbids,
        -> FailureAction.ShowRouting
        FailureReason.CostCap -> FailureAction.ShowCaps
        FailureReason.UnknownModel,
        FailureReason.ModelNotInstalled,
        FailureReason.ModelTooLarge,
        FailureReason.Damaged,
        FailureReason.DiskFull,
        -> FailureAction.ShowModels
        FailureReason.ContentFiltered,
        FailureReason.Offline,
        FailureReason.Unreachable,
        FailureReason.NoResponse,
        FailureReason.Interrupted,
        FailureReason.DeadlineExceeded,
        FailureReason.ProviderFault,
        FailureReason.ContextExceeded,
        FailureReason.NotFound,
        FailureReason.InvalidParameter,
        FailureReason.Unsupported,
        FailureReason.AccessDenied,
        FailureReason.NewerVersion,
        FailureReason.StorageFailed,
        FailureReason.RateLimited,
        FailureReason.CircuitOpen,
        FailureReason.Overloaded,
        FailureReason.Busy,
        FailureReason.Closed,
        FailureReason.Bug,
        -> null
    }

/** The page, if the failure has one, whatever its reason; then the screen of its reason. */
val Failure.actions: List<FailureAction>
    get() = listOfNotNull(
        FailureAction.OpenPage.takeIf { page != null },
        reason?.action?.takeIf { it != FailureAction.OpenPage },
    )

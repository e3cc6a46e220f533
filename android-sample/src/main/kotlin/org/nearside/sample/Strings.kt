/*
 * Texts of the app and number formats. Texts of the library are English only; a failure has a sentence of the app above
 * it (FailureTexts.kt).
 *
 * The texts are plain Java resources in resources/strings, one file per language: a desktop and translation tools can
 * read them, unlike Android's. A new language needs a new file and an entry in `Translation.languages`; a test compares
 * the keys.
 */
package org.nearside.sample

import androidx.compose.runtime.Composable
import androidx.compose.runtime.ReadOnlyComposable
import androidx.compose.runtime.staticCompositionLocalOf
import java.text.NumberFormat
import java.time.Instant
import java.time.ZoneId
import java.time.format.DateTimeFormatter
import java.time.format.FormatStyle
import java.util.Locale
import java.util.Properties

/** The key of a text: `AskTitle` is `askTitle` in the files. */
enum class Strings {
    About,
    ActionAppSettings,
    ActionAskAgain,
    ActionCaps,
    ActionModels,
    ActionProviders,
    ActionRouting,
    ActionTryAgain,
    Add,
    AddProvider,
    Address,
    AllChats,
    AllowMetered,
    AllowRetention,
    AllowTraining,
    AmountOf,
    AnswersCount,
    AnyOther,
    AskAccept,
    AskRefuse,
    AskTitle,
    AsOf,
    AtMost,
    Automatic,
    AutomaticHint,
    Back,
    Balanced,
    BannerDemo,
    BannerHot,
    BannerMemory,
    BannerReadOnly,
    Cancel,
    Caps,
    CapsAndSpend,
    CapsHint,
    Chats,
    CheckAgain,
    CheckFit,
    Checking,
    ChooseModel,
    Clear,
    Code,
    CompareCosts,
    ContinueRemotely,
    Copied,
    Copy,
    CopyCode,
    Cost,
    CostsHint,
    CostsNewChat,
    CostsOpenChat,
    Creative,
    DamagedModels,
    DamagedModelsHint,
    Delete,
    Deleted,
    DeleteDownload,
    Demo,
    DemoHint,
    Dismiss,
    Done,
    DownloadAgain,
    DownloadHint,
    DownloadModel,
    DownloadSize,
    DownloadTitle,
    EarlierVersion,
    Edit,
    Editing,
    Elsewhere,
    ExportJson,
    ExportMarkdown,
    FailureAccessDenied,
    FailureBug,
    FailureBusy,
    FailureCircuitOpen,
    FailureClosed,
    FailureConsentRequired,
    FailureContentFiltered,
    FailureContextExceeded,
    FailureCostCap,
    FailureDamaged,
    FailureDeadlineExceeded,
    FailureDiskFull,
    FailureInterrupted,
    FailureInvalidParameter,
    FailureKeyForbidden,
    FailureKeyMissing,
    FailureKeyRejected,
    FailureLocalNetworkDenied,
    FailureModelNotInstalled,
    FailureModelTooLarge,
    FailureNewerVersion,
    FailureNoCredit,
    FailureNoResponse,
    FailureNotFound,
    FailureOffline,
    FailureOpenPage,
    FailureOverloaded,
    FailurePolicyForbids,
    FailureProviderFault,
    FailureRateLimited,
    FailureRetryIn,
    FailureStorageFailed,
    FailureTermsNotAccepted,
    FailureUnknownModel,
    FailureUnreachable,
    FailureUnsupported,
    FinishSignIn,
    FirstRunHint,
    FirstRunTitle,
    FirstWord,
    Fits,
    FreeAndPrivate,
    GetAModel,
    Greeting,
    Guess,
    HaveAFile,
    HideDetails,
    HideReasoning,
    ImportFile,
    Importing,
    Installed,
    Kept,
    Key,
    KeyHint,
    KeyMissing,
    LaterVersion,
    LeaveDemo,
    LeavesDownloads,
    LeavesDownloadsHint,
    LeavesLists,
    LeavesListsHint,
    LeavesWhenAllowed,
    LeavesWhenAsked,
    LeavesWords,
    LocalNetworkHint,
    LocalNetworkProviders,
    Looking,
    MessagePlaceholder,
    Minutes,
    ModeHint,
    Model,
    ModelNeeds,
    ModelOptional,
    Models,
    More,
    MoreFrom,
    Never,
    NewChat,
    NoCap,
    NoChatOpen,
    NoChatOpenHint,
    NoChats,
    NoChatsHint,
    NoHits,
    NoHitsHint,
    NoModels,
    NoNetworkForFits,
    NoPrice,
    NoProviders,
    NoProvidersHint,
    NotAnAmount,
    Note,
    NotJudged,
    NotKept,
    NotSetUp,
    NotTrainedOn,
    OfTheCap,
    Omitted,
    OmittedHint,
    OnlyInCloud,
    OnlyOnDevice,
    OnThisDevice,
    Opening,
    OpeningFailed,
    Options,
    OwnServer,
    PassedOver,
    PassedOverMore,
    Pause,
    PausedAt,
    PerDay,
    PerMillion,
    PerMonth,
    PerRequest,
    PickAModel,
    PickAnother,
    Pin,
    Pinned,
    Precise,
    PreferInCloud,
    PreferOnDevice,
    Preset,
    PrivacyCanLeave,
    PrivacyHint,
    PrivacyNothingLeaves,
    PrivacyNow,
    PrivacyOpen,
    PrivacyOpenHint,
    PrivacyPage,
    PrivacyPersonal,
    PrivacyPersonalHint,
    PrivacySecret,
    PrivacySecretHint,
    Providers,
    ReadAgain,
    ReadAgainSystem,
    ReadAgainTools,
    Ready,
    ReadyHint,
    Reasons,
    ReceiptLabel,
    Recommended,
    Reference,
    ReferenceHint,
    Regenerate,
    Region,
    RegionsHint,
    RegionsPlaceholder,
    Remove,
    RemoveFrees,
    RemoveProvider,
    RemoveQuestion,
    Rename,
    RenameHint,
    Resting,
    Resume,
    RuleBudget,
    RuleCapability,
    RuleMemory,
    RuleMode,
    RuleNoCandidates,
    RuleOnDeviceOnly,
    RulePolicy,
    RulePreference,
    RulePreviousFailed,
    RuleReachability,
    RuleRequestedTarget,
    Save,
    SearchChats,
    SearchModels,
    Seconds,
    Selected,
    Send,
    ServedBy,
    Settings,
    ShowDetails,
    ShowReasoning,
    SignIn,
    SignInCode,
    SignInHint,
    SpaceUsed,
    SpentSoFar,
    SpentThisMonth,
    StarterCode,
    StarterLetter,
    StarterTides,
    StatusCutShort,
    StatusInterrupted,
    StatusStopped,
    StaysChats,
    StaysChatsHint,
    StaysKeys,
    StaysKeysHint,
    StaysUsage,
    StaysUsageHint,
    StepChat,
    StepDownload,
    StepOf,
    StepPick,
    Stop,
    Temperature,
    TemperatureIs,
    Terms,
    TermsDate,
    Thinking,
    ThisMonth,
    ThoughtFor,
    Tight,
    TimeLeft,
    Title,
    Today,
    Tokens,
    TokensInOut,
    TokensPerSecond,
    TooLarge,
    ToolCall,
    ToolCallHint,
    TopP,
    TrainedOn,
    TryDemo,
    Undo,
    Unknown,
    Unpin,
    Verifying,
    VersionOf,
    WebSearch,
    WebSearchHint,
    WhatIsAllowed,
    WhatIsSensitive,
    WhatLeaves,
    WhatStays,
    WhereAnswersComeFrom,
    WhoSeesThem,
    Why,
    WhyThese,
    WorthHaving,
    Writing,
    Yesterday,
    You,
    ;

    val key: String get() = name.replaceFirstChar { it.lowercase() }

    /** Returns the text in the user's language with the placeholders `%1`, `%2` filled in. */
    @Composable
    @ReadOnlyComposable
    operator fun invoke(vararg values: String): String = LocalTranslation.current.text(this, *values)
}

val LocalTranslation = staticCompositionLocalOf { Translation.of(Locale.ENGLISH) }

/** Texts and formats of one language. */
class Translation private constructor(val locale: Locale, private val texts: Properties) {
    val keys: Set<String> get() = texts.stringPropertyNames()

    fun text(name: Strings, vararg values: String): String =
        values.foldIndexed(texts.getProperty(name.key) ?: name.key) { index, text, value ->
            text.replace("%${index + 1}", value)
        }

    fun bytes(count: Long): String = when {
        count >= 1_000_000_000 -> number(count / 1e9, 2) + if (isRussian) " ГБ" else " GB"
        else -> number(count / 1e6, 0) + if (isRussian) " МБ" else " MB"
    }.withFirmSpaces()

    /** Formats an amount; a small one gets more digits: $0.00042. */
    fun dollars(amount: Double): String = when {
        amount == 0.0 -> "$0"
        else -> "$" + number(amount, if (amount < 0.01) 5 else 2, least = 2)
    }

    fun seconds(seconds: Double): String =
        text(Strings.Seconds, number(seconds, if (seconds < 10) 1 else 0)).withFirmSpaces()

    /** Formats a duration in seconds, or in minutes from 90 seconds on. */
    fun duration(seconds: Double): String = when {
        seconds < 90 -> text(Strings.Seconds, number(seconds, 0))
        else -> text(Strings.Minutes, number(seconds / 60, 0))
    }.withFirmSpaces()

    fun rate(tokensPerSecond: Double): String =
        text(Strings.TokensPerSecond, number(tokensPerSecond, if (tokensPerSecond < 10) 1 else 0)).withFirmSpaces()

    fun number(value: Double, digits: Int, least: Int = 0): String = NumberFormat.getNumberInstance(locale).run {
        maximumFractionDigits = digits
        minimumFractionDigits = least
        format(value)
    }

    fun percent(share: Float): String = NumberFormat.getPercentInstance(locale).format(share.toDouble())

    /** Returns the time for today, `Yesterday`, or the date. */
    fun day(milliseconds: Long, now: Long, zone: ZoneId = ZoneId.systemDefault()): String {
        val time = Instant.ofEpochMilli(milliseconds).atZone(zone)
        val today = Instant.ofEpochMilli(now).atZone(zone).toLocalDate()
        return when (time.toLocalDate()) {
            today -> DateTimeFormatter.ofLocalizedTime(FormatStyle.SHORT).withLocale(locale).format(time)
            today.minusDays(1) -> text(Strings.Yesterday)
            else -> DateTimeFormatter.ofPattern("d MMM", locale).format(time)
        }
    }

    private val isRussian get() = locale.language == "ru"

    companion object {
        val languages = listOf("en", "ru")

        /** Loads the language of a locale, or English. */
        fun of(locale: Locale): Translation {
            val language = locale.language.takeIf { it in languages } ?: "en"
            val texts = Properties()
            val file = checkNotNull(Strings::class.java.getResourceAsStream("/strings/$language.properties")) {
                "strings/$language.properties is missing in the app"
            }
            file.reader().use(texts::load)
            return Translation(if (locale.language == language) locale else Locale.US, texts)
        }
    }
}

/** Keeps a number and its unit on one line. */
private fun String.withFirmSpaces() = replace(' ', '\u00A0')

/** The target's name for the user. */
@Composable
@ReadOnlyComposable
fun AnswerTarget.title(): String = when (this) {
    is AnswerTarget.Device -> Strings.OnThisDevice()
    is AnswerTarget.Provider -> name
    AnswerTarget.Demo -> Strings.Demo()
}

@Composable
@ReadOnlyComposable
fun regionTitle(region: String): String = when (region) {
    "device" -> Strings.OnThisDevice()
    "own server" -> Strings.OwnServer()
    "unknown" -> Strings.Unknown()
    else -> region
}

@Composable
@ReadOnlyComposable
fun DataPolicyInfo.summary(): String {
    val retention = if (retained) Strings.Kept() else Strings.NotKept()
    return retention + " · " + if (trainedOn) Strings.TrainedOn() else Strings.NotTrainedOn()
}

/** Why the targets were rejected. */
val RoutingRule.title: Strings
    get() = when (this) {
        RoutingRule.RequestedTarget -> Strings.RuleRequestedTarget
        RoutingRule.OnDeviceOnly -> Strings.RuleOnDeviceOnly
        RoutingRule.Mode -> Strings.RuleMode
        RoutingRule.Capability -> Strings.RuleCapability
        RoutingRule.Policy -> Strings.RulePolicy
        RoutingRule.Reachability -> Strings.RuleReachability
        RoutingRule.Budget -> Strings.RuleBudget
        RoutingRule.Memory -> Strings.RuleMemory
        RoutingRule.Preference -> Strings.RulePreference
        RoutingRule.NoCandidates -> Strings.RuleNoCandidates
        RoutingRule.PreviousFailed -> Strings.RulePreviousFailed
    }

val AnswerMode.title: Strings
    get() = when (this) {
        AnswerMode.OnlyOnDevice -> Strings.OnlyOnDevice
        AnswerMode.PreferOnDevice -> Strings.PreferOnDevice
        AnswerMode.PreferInCloud -> Strings.PreferInCloud
        AnswerMode.OnlyInCloud -> Strings.OnlyInCloud
    }

val PrivacyLevel.title: Strings
    get() = when (this) {
        PrivacyLevel.Open -> Strings.PrivacyOpen
        PrivacyLevel.Personal -> Strings.PrivacyPersonal
        PrivacyLevel.Secret -> Strings.PrivacySecret
    }

val PrivacyLevel.hint: Strings
    get() = when (this) {
        PrivacyLevel.Open -> Strings.PrivacyOpenHint
        PrivacyLevel.Personal -> Strings.PrivacyPersonalHint
        PrivacyLevel.Secret -> Strings.PrivacySecretHint
    }

val AnswerPreset.title: Strings
    get() = when (this) {
        AnswerPreset.Precise -> Strings.Precise
        AnswerPreset.Balanced -> Strings.Balanced
        AnswerPreset.Creative -> Strings.Creative
    }

val FitLevel.title: Strings
    get() = when (this) {
        FitLevel.Fits -> Strings.Fits
        FitLevel.Tight -> Strings.Tight
        FitLevel.TooLarge -> Strings.TooLarge
    }

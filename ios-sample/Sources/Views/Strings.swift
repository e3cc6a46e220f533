// Texts of the app by their key in Localizable.xcstrings, and number formats. A test compares the keys here with those
// in the catalogue, for each language. Texts of the library are English only; a failure has a sentence of the app above it.

import Foundation

enum Strings: String, CaseIterable {
    case about, actionAskAgain, actionCaps, actionModels, actionProviders, actionRouting, actionTryAgain, add,
        addProvider, allChats, allowMetered, allowRetention, allowTraining, amountOf, answerDone, answersCount,
        anyOther, askAccept, askRefuse, askTitle, asOf, atMost, automatic, automaticHint, balanced, bannerDemo,
        bannerHot, bannerMemory, bannerReadOnly, cancel, capRejected, caps, capsHint, chats, checkAgain,
        checkFit, checking, chooseModel, code, compareCosts, continueRemotely, copied, copy, cost, creative,
        damagedModels, damagedModelsHint, delete, deleted, demo, demoHint, dismiss, done, downloadAgain,
        downloadHint, downloadModel, downloads, downloadSize, downloadTitle, earlierVersion, edit, editing,
        elsewhere, export, exportJSON, exportMarkdown, failed, failureAccessDenied, failureBug, failureBusy,
        failureCircuitOpen, failureClosed, failureConsentRequired, failureContentFiltered,
        failureContextExceeded, failureCostCap, failureDamaged, failureDeadlineExceeded, failureDiskFull,
        failureInterrupted, failureInvalidParameter, failureKeyForbidden, failureKeyMissing,
        failureKeyRejected, failureLocalNetworkDenied, failureModelNotInstalled, failureModelTooLarge,
        failureNewerVersion,
        failureNoCredit, failureNoResponse, failureNotFound, failureOffline, failureOpenPage,
        failureOverloaded, failurePolicyForbids, failureProviderFault, failureRateLimited, failureRetryIn,
        failureStorageFailed, failureTermsNotAccepted, failureUnknownModel, failureUnreachable,
        failureUnsupported, finishSignIn, firstRunHint, firstRunTitle, firstWord, fits, free, freeAndPrivate,
        getAModel, goOn, greeting, guessBySize, guessesHint, haveAFile, importFile, importing, installed, kept,
        key, keyHint, keyMissing, laterVersion, leaveDemo, leavesDownloads, leavesDownloadsHint, leavesLists,
        leavesListsHint, leavesWhenAllowed, leavesWhenAsked, leavesWords, looking, messagePlaceholder,
        modeHint, model, modelOptional, models, moreFrom, never, newChat, noCap, noChatOpen, noChatOpenHint,
        noChats, noChatsHint, noModels, note, notKept, notSetUp, notTrainedOn, ofTheCap, ok, omitted,
        omittedHint, onlyInCloud, onlyOnDevice, onThisDevice, opening, options, ownServer, passedOver,
        passedOverMore, pause, pausedAt, perDay, perMillion, perMonth, perRequest, pickAModel, pickAnother,
        pin, pinned, precise, preferInCloud, preferOnDevice, preset, presetWithTemperature, privacyCanLeave,
        privacyNothingLeaves, privacyNow, privacyOpen, privacyOpenHint, privacyPage, privacyPersonal,
        privacyPersonalHint, privacySecret, privacySecretHint, provider, providers, readAgain, readAgainSystem,
        readAgainTools, ready, reasons, receiptLabel, recommended, reference, referenceHint, regenerate,
        region, regionsHint, regionsPlaceholder, remove, removeQuestion, rename, renameHint, resting, resume,
        ruleBudget, ruleCapability, ruleMemory, ruleMode, ruleNoCandidates, ruleOnDeviceOnly, rulePolicy,
        rulePreference, rulePreviousFailed, ruleReachability, ruleRequestedTarget, searchChats, searchModels,
        seconds, send, servedBy, settings, signIn, signInHint, spaceUsed, spentSoFar, starterCode,
        starterLetter, starterTides, statusCutShort, statusInterrupted, statusStopped, staysChats,
        staysChatsHint, staysKeys, staysKeysHint, staysUsage, staysUsageHint, stepOf, stop, temperature, terms,
        termsDate, thinking, thisMonth, thoughtFor, tight, timeLeft, title, today, tokens, tokensInOut,
        tokensPerSecond, tooLarge, topP, trainedOn, tryDemo, undo, unknown, unpin, verifying, versionOf,
        webSearch, whatIsAllowed, whatIsSensitive, whatLeaves, whatStays, whereAnswersComeFrom, whoSeesThem,
        why, worthHaving, writing

    /// Returns the text in the user's language with the placeholders `%1$@`, `%2$@` filled in.
    func callAsFunction(_ values: String...) -> String {
        let text = NSLocalizedString(rawValue, comment: "")
        return values.enumerated().reduce(text) { text, value in
            text.replacingOccurrences(of: "%\(value.offset + 1)$@", with: value.element)
        }
    }
}

/// Number formats of the user's locale.
enum Numbers {
    static func bytes(_ count: UInt64) -> String {
        ByteCountFormatter.string(fromByteCount: Int64(clamping: count), countStyle: .file)
    }

    /// Formats an amount; a small one gets more digits: $0.00042.
    static func dollars(_ amount: Double, locale: Locale = .autoupdatingCurrent) -> String {
        let digits = amount > 0 && amount < 0.01 ? 5 : 2
        return amount.formatted(.currency(code: "USD").precision(.fractionLength(2...digits)).locale(locale))
    }

    static func seconds(_ seconds: Double) -> String {
        let digits = seconds < 10 ? 1 : 0
        return Strings.seconds(seconds.formatted(.number.precision(.fractionLength(0...digits))))
    }

    static func rate(_ tokensPerSecond: Double) -> String {
        Strings.tokensPerSecond(tokensPerSecond.formatted(.number.precision(.fractionLength(0...1))))
    }

    static func temperature(_ value: Double) -> String {
        value.formatted(.number.precision(.fractionLength(1...2)))
    }

    static func percent(_ share: Double) -> String {
        share.formatted(.percent.precision(.fractionLength(0)))
    }
}

extension AnswerTarget {
    /// The target's name for the user.
    var title: String {
        switch self {
        case .device: Strings.onThisDevice()
        case .provider(let name, _): name
        case .demo: Strings.demo()
        }
    }

    var model: String {
        switch self {
        case .device(let model), .provider(_, let model): model
        case .demo: Strings.demo()
        }
    }

    var symbol: String { isDevice ? "iphone" : "cloud" }
}

extension RoutingRule {
    /// Why the targets were rejected.
    var title: String {
        switch self {
        case .requestedTarget: Strings.ruleRequestedTarget()
        case .onDeviceOnly: Strings.ruleOnDeviceOnly()
        case .mode: Strings.ruleMode()
        case .capability: Strings.ruleCapability()
        case .policy: Strings.rulePolicy()
        case .reachability: Strings.ruleReachability()
        case .budget: Strings.ruleBudget()
        case .memory: Strings.ruleMemory()
        case .preference: Strings.rulePreference()
        case .noCandidates: Strings.ruleNoCandidates()
        case .previousFailed: Strings.rulePreviousFailed()
        }
    }
}

extension DataPolicyInfo {
    var regionTitle: String {
        switch region {
        case "device": Strings.onThisDevice()
        case "own server": Strings.ownServer()
        case "unknown": Strings.unknown()
        default: region
        }
    }

    var summary: String {
        [retained ? Strings.kept() : Strings.notKept(), trainedOn ? Strings.trainedOn() : Strings.notTrainedOn()]
            .joined(separator: " · ")
    }
}

extension AnswerMode {
    var title: String {
        switch self {
        case .onlyOnDevice: Strings.onlyOnDevice()
        case .preferOnDevice: Strings.preferOnDevice()
        case .preferInCloud: Strings.preferInCloud()
        case .onlyInCloud: Strings.onlyInCloud()
        }
    }
}

extension PrivacyLevel {
    var title: String {
        switch self {
        case .open: Strings.privacyOpen()
        case .personal: Strings.privacyPersonal()
        case .secret: Strings.privacySecret()
        }
    }

    var hint: String {
        switch self {
        case .open: Strings.privacyOpenHint()
        case .personal: Strings.privacyPersonalHint()
        case .secret: Strings.privacySecretHint()
        }
    }
}

extension AnswerPreset {
    var title: String {
        switch self {
        case .precise: Strings.precise()
        case .balanced: Strings.balanced()
        case .creative: Strings.creative()
        }
    }
}

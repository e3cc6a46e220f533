// Settings: routing policy, providers and spending.

import Foundation
import Observation

/// The spending limits.
enum Cap: CaseIterable, Sendable {
    case request, day, month

    var field: WritableKeyPath<PolicySettings, Double?> & Sendable {
        switch self {
        case .request: \.dollarsPerRequest
        case .day: \.dollarsPerDay
        case .month: \.dollarsPerMonth
        }
    }
}

@MainActor @Observable
final class SettingsModel {
    private let brain: any Brain
    private(set) var preferences = Preferences()
    private(set) var policy = PolicySettings()
    private(set) var providers: [ProviderInfo] = []
    private(set) var spending = Spending()
    /// The provider being added.
    var new = NewProvider()
    /// The page that shows the code, once a sign-in has started.
    private(set) var signIn: (provider: String, page: URL)?
    var code = ""
    private(set) var isBusy = false
    /// Text that is no amount; the cap is unchanged.
    private(set) var rejected: (cap: Cap, text: String)?
    var failure: BrainError?
    private let locale: Locale
    /// The last change of the policy; the next one waits for it.
    private var saving: Task<Void, Never>?

    init(brain: any Brain, locale: Locale = .autoupdatingCurrent) {
        self.brain = brain
        self.locale = locale
    }

    func load() async {
        await attempt {
            self.preferences = try await self.brain.preferences()
            self.policy = try await self.brain.policy()
            self.providers = try await self.brain.providers()
            self.spending = try await self.brain.spending()
        }
    }

    // MARK: Policy

    func setMode(_ mode: AnswerMode) async {
        await change(\.mode, to: mode)
    }

    func setPrivacy(_ privacy: PrivacyLevel) async {
        await change(\.privacy, to: privacy)
    }

    /// Changes the policy, and waits until it is stored.
    func setPolicy(_ change: (inout PolicySettings) -> Void) async {
        changePolicy(change)
        await saving?.value
    }

    // A switch is bound to these: it shows the policy at all times, also after a change that was not stored.
    var allowsRetention: Bool {
        get { policy.allowRetention }
        set { changePolicy { $0.allowRetention = newValue } }
    }
    var allowsTraining: Bool {
        get { policy.allowTraining }
        set { changePolicy { $0.allowTraining = newValue } }
    }
    var allowsMetered: Bool {
        get { policy.allowMetered }
        set { changePolicy { $0.allowMetered = newValue } }
    }

    /// Shows the change at once and stores it. If it cannot be stored, shows what is stored.
    private func changePolicy(_ change: (inout PolicySettings) -> Void) {
        let before = policy
        change(&policy)
        guard policy != before else { return }
        let (new, earlier) = (policy, saving)
        saving = Task {
            await earlier?.value
            do {
                try await brain.setPolicy(new)
            } catch {
                failure = BrainError(error)
                policy = (try? await brain.policy()) ?? before
            }
        }
    }

    /// Parses two-letter codes and `EU` with any separators.
    func setRegions(_ text: String) async {
        let regions = text.uppercased().split { !$0.isLetter }.map(String.init)
        await setPolicy { $0.regions = regions }
    }

    /// Returns the cap as its field shows it; empty: no cap.
    func text(of cap: Cap) -> String { policy[keyPath: cap.field].map { Amount.text($0, locale) } ?? "" }

    /// Sets a cap from the text of its field: empty removes the cap; text that is no amount changes nothing, and is
    /// reported in `rejected`.
    func setCap(_ cap: Cap, _ text: String) async {
        // Not for an amount that is rounded in the field: the same text changes nothing.
        if text == self.text(of: cap) { return }
        rejected = nil
        if text.allSatisfy(\.isWhitespace) { return await setPolicy { $0[keyPath: cap.field] = nil } }
        guard let dollars = Amount.parse(text, locale) else {
            rejected = (cap, text)
            return
        }
        await setPolicy { $0[keyPath: cap.field] = dollars }
    }

    func dismissRejected() { rejected = nil }

    /// The cap with the highest used share, and that share.
    var capUsed: Double? {
        let shares = [(spending.today, policy.dollarsPerDay), (spending.month, policy.dollarsPerMonth)]
            .compactMap { spent, cap in cap.map { $0 > 0 ? min(1, spent / $0) : 1 } }
        return shares.max()
    }

    /// Whether any content can leave the device; the privacy page shows it first.
    var canLeave: Bool { preferences.mode != .onlyOnDevice && preferences.privacy != .secret && !providers.isEmpty }

    // MARK: Providers

    var canAdd: Bool {
        !isBusy && (!new.kind.needsAddress || URL(string: new.trimmed.address)?.scheme?.hasPrefix("http") == true)
    }

    /// Adds the provider and returns whether that succeeded.
    func addProvider() async -> Bool {
        guard canAdd else { return false }
        isBusy = true
        defer { isBusy = false }
        do {
            try await brain.addProvider(new)
            new = NewProvider()
            providers = try await brain.providers()
            return true
        } catch {
            failure = BrainError(error)
            return false
        }
    }

    func removeProvider(_ name: String) async {
        await attempt {
            try await self.brain.removeProvider(name)
            self.providers = try await self.brain.providers()
        }
    }

    /// Starts a sign-in and returns the page to open.
    func beginSignIn(_ provider: String) async -> URL? {
        await attempt {
            if !self.providers.contains(where: { $0.name == provider }) {
                try await self.brain.addProvider(NewProvider(kind: .openRouter))
                self.providers = try await self.brain.providers()
            }
            self.signIn = (provider, try await self.brain.beginSignIn(provider))
        }
        return signIn?.page
    }

    func finishSignIn() async {
        guard let provider = signIn?.provider, !code.isEmpty else { return }
        let typed = code.trimmingCharacters(in: .whitespacesAndNewlines)
        await attempt {
            try await self.brain.finishSignIn(provider, code: typed)
            self.cancelSignIn()
            self.providers = try await self.brain.providers()
        }
    }

    func cancelSignIn() {
        signIn = nil
        code = ""
    }

    private func change<Value>(_ field: WritableKeyPath<Preferences, Value>, to value: Value) async {
        let before = preferences
        preferences[keyPath: field] = value
        do {
            try await brain.setPreferences(preferences)
        } catch {
            preferences = before
            failure = BrainError(error)
        }
    }

    private func attempt(_ work: () async throws -> Void) async {
        do { try await work() } catch { failure = BrainError(error) }
    }
}

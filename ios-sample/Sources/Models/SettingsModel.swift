// Settings: routing policy, providers and spending.

import Foundation
import Observation

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
    var failure: BrainError?

    init(brain: any Brain) {
        self.brain = brain
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

    /// Changes the policy, and reverts the change if the brain rejects it.
    func setPolicy(_ change: (inout PolicySettings) -> Void) async {
        let before = policy
        change(&policy)
        guard policy != before else { return }
        do {
            try await brain.setPolicy(policy)
        } catch {
            policy = before
            failure = BrainError(error)
        }
    }

    /// Parses two-letter codes and `EU` with any separators.
    func setRegions(_ text: String) async {
        let regions = text.uppercased().split { !$0.isLetter }.map(String.init)
        await setPolicy { $0.regions = regions }
    }

    /// Sets a cap from typed text: empty removes the cap, invalid text changes nothing.
    func setCap(_ cap: WritableKeyPath<PolicySettings, Double?>, _ text: String) async {
        let text = text.trimmingCharacters(in: .whitespaces).replacingOccurrences(of: ",", with: ".")
        if text.isEmpty { return await setPolicy { $0[keyPath: cap] = nil } }
        guard let dollars = Double(text), dollars >= 0, dollars.isFinite else { return }
        await setPolicy { $0[keyPath: cap] = dollars }
    }

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

// What the person allows, whom they have an account with, and what it cost so far.

import Foundation
import Observation

@MainActor @Observable
final class SettingsModel {
    private let brain: any Brain
    private(set) var preferences = Preferences()
    private(set) var policy = PolicySettings()
    private(set) var providers: [ProviderInfo] = []
    private(set) var spending = Spending()
    /// The provider that is being set up.
    var new = NewProvider()
    /// The page that shows the code, once a sign-in has begun.
    private(set) var signIn: (provider: String, page: URL)?
    var code = ""
    private(set) var isBusy = false
    var failure: String?

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

    // MARK: Rules

    func setMode(_ mode: AnswerMode) async {
        await change(\.mode, to: mode)
    }

    func setPrivacy(_ privacy: PrivacyLevel) async {
        await change(\.privacy, to: privacy)
    }

    /// Changes the rules, and takes the change back if the brain refuses it.
    func setPolicy(_ change: (inout PolicySettings) -> Void) async {
        let before = policy
        change(&policy)
        guard policy != before else { return }
        do {
            try await brain.setPolicy(policy)
        } catch {
            policy = before
            failure = BrainError(error).text
        }
    }

    /// Two-letter codes and `EU`, however they are separated.
    func setRegions(_ text: String) async {
        let regions = text.uppercased().split { !$0.isLetter }.map(String.init)
        await setPolicy { $0.regions = regions }
    }

    /// An amount as it was typed; empty takes the cap away, anything else that is no amount changes nothing.
    func setCap(_ cap: WritableKeyPath<PolicySettings, Double?>, _ text: String) async {
        let text = text.trimmingCharacters(in: .whitespaces).replacingOccurrences(of: ",", with: ".")
        if text.isEmpty { return await setPolicy { $0[keyPath: cap] = nil } }
        guard let dollars = Double(text), dollars >= 0, dollars.isFinite else { return }
        await setPolicy { $0[keyPath: cap] = dollars }
    }

    /// The tightest cap that is set, and how much of it is spent.
    var capUsed: Double? {
        let shares = [(spending.today, policy.dollarsPerDay), (spending.month, policy.dollarsPerMonth)]
            .compactMap { spent, cap in cap.map { $0 > 0 ? min(1, spent / $0) : 1 } }
        return shares.max()
    }

    /// Whether anything can leave at all: what the privacy page says first.
    var canLeave: Bool { preferences.mode != .onlyOnDevice && preferences.privacy != .secret && !providers.isEmpty }

    // MARK: Providers

    var canAdd: Bool {
        !isBusy && (!new.kind.needsAddress || URL(string: new.address)?.scheme?.hasPrefix("http") == true)
    }

    /// Whether it was added.
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
            failure = BrainError(error).text
            return false
        }
    }

    func removeProvider(_ name: String) async {
        await attempt {
            try await self.brain.removeProvider(name)
            self.providers = try await self.brain.providers()
        }
    }

    /// The page that has to be opened now.
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
            failure = BrainError(error).text
        }
    }

    private func attempt(_ work: () async throws -> Void) async {
        do { try await work() } catch { failure = BrainError(error).text }
    }
}

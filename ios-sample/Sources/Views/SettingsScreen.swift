// The settings screen: mode, sensitivity, routing policy, providers, limits and spending.

import SwiftUI

struct SettingsScreen: View {
    @Bindable var model: SettingsModel
    let app: AppModel
    @State private var adds = false
    @State private var compared: ChatModel?

    var body: some View {
        ScrollViewReader { proxy in
            form
                .onChange(of: app.section, initial: true) { _, section in
                    guard let section else { return }
                    proxy.scrollTo(section, anchor: .top)
                    app.section = nil
                }
        }
    }

    private var form: some View {
        Form {
            answers
            privacy
            providers.id(SettingsSection.providers)
            ProviderPolicySection(model: model).id(SettingsSection.routing)
            CapsSection(model: model).id(SettingsSection.caps)
            spending
            demo
        }
        .navigationTitle(Strings.settings())
        .task { await model.load() }
        .refreshable { await model.load() }
        .sheet(isPresented: $adds) { AddProviderSheet(model: model) }
        .sheet(item: $compared) { CostsSheet(model: $0) }
        .failureAlert($model.failure)
    }

    private var answers: some View {
        Section {
            ForEach(AnswerMode.allCases, id: \.self) { mode in
                choice(mode.title, isChosen: model.preferences.mode == mode) { await model.setMode(mode) }
            }
        } header: {
            Text(Strings.whereAnswersComeFrom())
        } footer: {
            Text(Strings.modeHint())
        }
    }

    private var privacy: some View {
        Section {
            ForEach(PrivacyLevel.allCases, id: \.self) { level in
                choice(level.title, isChosen: model.preferences.privacy == level) { await model.setPrivacy(level) }
            }
            NavigationLink {
                PrivacyScreen(model: model)
            } label: {
                Label(Strings.privacyPage(), systemImage: "hand.raised")
            }
            .accessibilityIdentifier("settings.privacy")
        } header: {
            Text(Strings.whatIsSensitive())
        } footer: {
            Text(model.preferences.privacy.hint)
        }
    }

    private func choice(
        _ title: String, isChosen: Bool, choose: @escaping @MainActor () async -> Void
    ) -> some View {
        Button {
            Task { await choose() }
        } label: {
            HStack {
                Text(title)
                Spacer()
                if isChosen { Image(systemName: "checkmark").foregroundStyle(Theme.accent).accessibilityHidden(true) }
            }
            .contentShape(Rectangle())
        }
        .buttonStyle(.plain)
        .accessibilityAddTraits(isChosen ? [.isButton, .isSelected] : .isButton)
    }

    private var providers: some View {
        Section(Strings.providers()) {
            ForEach(model.providers) { provider in
                ProviderRow(provider: provider)
                    .swipeActions(edge: .trailing) {
                        Button(Strings.remove(), role: .destructive) {
                            Task { await model.removeProvider(provider.name) }
                        }
                    }
            }
            Button {
                adds = true
            } label: {
                Label(Strings.addProvider(), systemImage: "plus")
            }
        }
    }

    private var spending: some View {
        Section(Strings.spentSoFar()) {
            LabeledContent(Strings.today(), value: Numbers.dollars(model.spending.today))
            LabeledContent(Strings.thisMonth(), value: Numbers.dollars(model.spending.month))
            if let used = model.capUsed {
                ProgressView(value: used) { Text(Strings.ofTheCap(Numbers.percent(used))).font(.footnote) }
                    .tint(used > 0.8 ? Theme.caution : Theme.accent)
            }
            Button(Strings.compareCosts()) { compared = app.chatForCosts() }
            ForEach(model.spending.byProvider) { line in
                LabeledContent {
                    Text(Numbers.dollars(line.dollars)).monospacedDigit()
                } label: {
                    Text(line.name)
                    Text(Strings.answersCount("\(line.answers)"))
                }
            }
        }
    }

    private var demo: some View {
        Section {
            if app.isDemo {
                Button(Strings.leaveDemo()) { Task { await app.leaveDemo() } }
            } else {
                Button(Strings.tryDemo()) { Task { await app.enterDemo() } }
            }
        } footer: {
            Text(Strings.demoHint())
        }
    }
}

private struct ProviderRow: View {
    let provider: ProviderInfo

    var body: some View {
        VStack(alignment: .leading, spacing: 4) {
            HStack {
                Text(provider.name).font(.headline)
                Spacer()
                Label(
                    provider.hasKey ? Strings.ready() : Strings.keyMissing(),
                    systemImage: provider.hasKey ? "checkmark.seal" : "key.slash"
                )
                .font(.caption)
                .foregroundStyle(provider.hasKey ? Theme.onDevice : Theme.caution)
            }
            Text("\(provider.kind.title) · \(provider.dataPolicy.regionTitle) · \(provider.dataPolicy.summary)")
                .font(.caption)
                .foregroundStyle(.secondary)
            if provider.cooldownSeconds > 0 {
                Text(Strings.resting(Numbers.seconds(Double(provider.cooldownSeconds)))).font(.caption)
                    .foregroundStyle(Theme.caution)
            }
        }
        .padding(.vertical, 4)
        .accessibilityElement(children: .combine)
    }
}

/// The routing policy: allowed providers and regions.
private struct ProviderPolicySection: View {
    @Bindable var model: SettingsModel
    @State private var regions = ""
    @FocusState private var isTyping: Bool

    var body: some View {
        Section {
            TextField(Strings.regionsPlaceholder(), text: $regions)
                .textInputAutocapitalization(.characters)
                .autocorrectionDisabled()
                .focused($isTyping)
                .onSubmit(save)
            Toggle(Strings.allowRetention(), isOn: $model.allowsRetention)
            Toggle(Strings.allowTraining(), isOn: $model.allowsTraining)
            Toggle(Strings.allowMetered(), isOn: $model.allowsMetered)
        } header: {
            Text(Strings.whatIsAllowed())
        } footer: {
            Text(Strings.regionsHint())
        }
        .onChange(of: model.policy.regions, initial: true) { _, new in regions = new.joined(separator: ", ") }
        .onChange(of: isTyping) { _, isTyping in if !isTyping { save() } }
    }

    private func save() {
        Task { await model.setRegions(regions) }
    }
}

private struct CapsSection: View {
    let model: SettingsModel

    var body: some View {
        Section {
            CapField(title: Strings.perRequest(), cap: .request, model: model)
            CapField(title: Strings.perDay(), cap: .day, model: model)
            CapField(title: Strings.perMonth(), cap: .month, model: model)
        } header: {
            Text(Strings.caps())
        } footer: {
            Text(Strings.capsHint())
        }
    }
}

/// The field of one limit, which is set when the field is left.
private struct CapField: View {
    let title: String
    let cap: Cap
    let model: SettingsModel
    @State private var text = ""
    @FocusState private var isTyping: Bool

    var body: some View {
        LabeledContent(title) {
            TextField(Strings.noCap(), text: $text)
                .multilineTextAlignment(.trailing)
                .keyboardType(.decimalPad)
                .focused($isTyping)
                .onSubmit { save() }
                .accessibilityLabel(title)
        }
        .onChange(of: model.text(of: cap), initial: true) { _, new in text = new }
        .onChange(of: isTyping) { _, isTyping in if isTyping { model.dismissRejected() } else { save() } }
        if let rejected = model.rejected, rejected.cap == cap {
            Label(Strings.capRejected(rejected.text), systemImage: "exclamationmark.triangle")
                .font(.footnote)
                .foregroundStyle(Theme.caution)
        }
    }

    private func save() {
        Task {
            await model.setCap(cap, text)
            text = model.text(of: cap)
        }
    }
}

/// A form for an existing key, or a sign-in at OpenRouter: its page shows a code that becomes the key.
private struct AddProviderSheet: View {
    @Bindable var model: SettingsModel
    @Environment(\.dismiss) private var dismiss
    @Environment(\.openURL) private var openURL

    var body: some View {
        NavigationStack {
            Form {
                Picker(Strings.provider(), selection: $model.new.kind) {
                    ForEach(ProviderType.allCases, id: \.self) { Text($0.title).tag($0) }
                }
                if model.new.kind == .openRouter { signIn }
                Section {
                    if model.new.kind.needsAddress {
                        TextField("https://…/v1", text: $model.new.address)
                            .keyboardType(.URL)
                            .textInputAutocapitalization(.never)
                            .autocorrectionDisabled()
                    }
                    SecureField(Strings.key(), text: $model.new.key)
                    TextField(Strings.modelOptional(), text: $model.new.model)
                        .textInputAutocapitalization(.never)
                        .autocorrectionDisabled()
                } footer: {
                    Text(Strings.keyHint())
                }
            }
            .navigationTitle(Strings.addProvider())
            .navigationBarTitleDisplayMode(.inline)
            .toolbar {
                ToolbarItem(placement: .cancellationAction) { Button(Strings.cancel()) { dismiss() } }
                ToolbarItem(placement: .confirmationAction) {
                    Button(Strings.add()) {
                        Task { if await model.addProvider() { dismiss() } }
                    }
                    .disabled(!model.canAdd)
                }
            }
            .failureAlert($model.failure)
        }
    }

    private var signIn: some View {
        Section {
            if model.signIn == nil {
                Button(Strings.signIn()) {
                    Task { if let page = await model.beginSignIn("openrouter") { openURL(page) } }
                }
            } else {
                TextField(Strings.code(), text: $model.code)
                    .textInputAutocapitalization(.never)
                    .autocorrectionDisabled()
                Button(Strings.finishSignIn()) {
                    Task {
                        await model.finishSignIn()
                        if model.signIn == nil { dismiss() }
                    }
                }
                .disabled(model.code.isEmpty)
            }
        } footer: {
            Text(Strings.signInHint())
        }
    }
}

#if !os(Linux)
    #Preview {
        NavigationStack {
            SettingsScreen(
                model: SettingsModel(brain: DemoBrain()), app: AppModel(real: { DemoBrain() }, startsInDemo: true))
        }
    }
#endif

// The model picker of a chat: automatic, a local model with its verdict, or a remote one with region and price.

import SwiftUI

struct ModelPicker: View {
    let model: ChatModel
    let onOpenModels: @MainActor () -> Void
    @State private var query = ""
    @Environment(\.dismiss) private var dismiss

    var body: some View {
        NavigationStack {
            List {
                Section {
                    row(Strings.automatic(), Strings.automaticHint(), "wand.and.stars", isChosen: model.chosen == nil) {
                        await model.choose(nil)
                    }
                }
                section(Strings.onThisDevice(), local)
                if local.isEmpty {
                    Button(Strings.getAModel()) {
                        dismiss()
                        onOpenModels()
                    }
                }
                section(Strings.elsewhere(), matching(remote))
                ForEach(model.offers.keys.sorted(), id: \.self) { provider in
                    section(Strings.moreFrom(provider), matching(more(provider)))
                }
                ForEach(model.offerErrors.keys.sorted(), id: \.self) { provider in
                    if let failure = model.offerErrors[provider] {
                        Label(failure.summary, systemImage: "wifi.slash").font(.footnote).foregroundStyle(.secondary)
                        FailureButtons(failure: failure) { dismiss() }.font(.footnote)
                    }
                }
            }
            .searchable(text: $query, prompt: Text(Strings.searchModels()))
            .navigationTitle(Strings.chooseModel())
            .navigationBarTitleDisplayMode(.inline)
            .toolbar { ToolbarItem(placement: .confirmationAction) { Button(Strings.done()) { dismiss() } } }
        }
        .presentationDetents([.medium, .large])
        .task { await model.loadOffers() }
    }

    private var local: [ModelChoice] { model.choices.filter(\.target.isDevice) }
    private var remote: [ModelChoice] { model.choices.filter { !$0.target.isDevice } }

    /// The other models of a provider. Without a search only the first are shown, because a list can have hundreds.
    private func more(_ provider: String) -> [ModelChoice] {
        let known = Set(model.choices.map(\.id))
        let others = (model.offers[provider] ?? []).filter { !known.contains($0.id) }
        return query.isEmpty ? Array(others.prefix(12)) : others
    }

    private func matching(_ choices: [ModelChoice]) -> [ModelChoice] {
        query.isEmpty
            ? choices : choices.filter { "\($0.name) \($0.target.model)".localizedCaseInsensitiveContains(query) }
    }

    @ViewBuilder private func section(_ title: String, _ choices: [ModelChoice]) -> some View {
        if !choices.isEmpty {
            let chosen = model.chosen
            Section(title) {
                ForEach(choices) { choice in
                    row(
                        choice.name, detail(choice), choice.target.symbol, isChosen: chosen == choice,
                        choice.verdict
                    ) {
                        await model.choose(choice)
                    }
                }
            }
        }
    }

    private func row(
        _ title: String, _ detail: String, _ symbol: String, isChosen: Bool, _ verdict: FitLevel? = nil,
        choose: @escaping @MainActor () async -> Void
    ) -> some View {
        Button {
            Task {
                await choose()
                dismiss()
            }
        } label: {
            HStack(spacing: Theme.gap) {
                Image(systemName: symbol).frame(width: 28).foregroundStyle(Theme.accent)
                VStack(alignment: .leading, spacing: 2) {
                    Text(title).font(.body.weight(.medium))
                    Text(detail).font(.caption).foregroundStyle(.secondary)
                }
                Spacer()
                if let verdict { VerdictBadge(verdict: verdict) }
                if isChosen { Image(systemName: "checkmark").foregroundStyle(Theme.accent).accessibilityHidden(true) }
            }
            .contentShape(Rectangle())
        }
        .buttonStyle(.plain)
        .accessibilityAddTraits(isChosen ? [.isButton, .isSelected] : .isButton)
    }

    private func detail(_ choice: ModelChoice) -> String {
        if choice.target.isDevice { return Strings.freeAndPrivate() }
        var parts = [choice.target.title, DataPolicyInfo(region: choice.region).regionTitle]
        if let dollarsIn = choice.dollarsIn, let dollarsOut = choice.dollarsOut {
            parts.append(Strings.perMillion(Numbers.dollars(dollarsIn), Numbers.dollars(dollarsOut)))
        }
        return parts.joined(separator: " · ")
    }
}

#if !os(Linux)
    #Preview {
        let model = ChatModel(brain: DemoBrain())
        ModelPicker(model: model) {}.task { await model.load() }
    }
#endif

// The consent sheet shown before content leaves the device: target, region, data policy and cost. Dismissing it
// refuses.

import SwiftUI

struct AskSheet: View {
    let prompt: ConsentPrompt
    let onAccept: @MainActor () -> Void
    let onRefuse: @MainActor () -> Void

    var body: some View {
        ScrollView {
            VStack(alignment: .leading, spacing: Theme.wide) {
                Image(systemName: "paperplane.circle.fill")
                    .font(.largeTitle)
                    .foregroundStyle(Theme.remote)
                    .accessibilityHidden(true)
                VStack(alignment: .leading, spacing: Theme.tight) {
                    Text(Strings.askTitle(prompt.target.title)).font(.title2.weight(.bold))
                        .accessibilityAddTraits(.isHeader)
                    Text(prompt.reason).foregroundStyle(.secondary)
                }
                VStack(alignment: .leading, spacing: Theme.gap) {
                    row("cpu", Strings.model(), prompt.target.model)
                    row("mappin.and.ellipse", Strings.region(), prompt.dataPolicy.regionTitle)
                    row("doc.text", Strings.terms(), prompt.dataPolicy.summary)
                    row("dollarsign.circle", Strings.cost(), cost)
                }
                .card()
                if !prompt.dataPolicy.note.isEmpty {
                    Text(prompt.dataPolicy.note).font(.footnote).foregroundStyle(.secondary)
                }
                VStack(spacing: Theme.gap) {
                    Button(action: onAccept) {
                        Text(Strings.askAccept(prompt.target.title)).frame(maxWidth: .infinity)
                    }
                    .buttonStyle(.borderedProminent)
                    .accessibilityIdentifier("ask.accept")
                    Button(action: onRefuse) {
                        Text(Strings.askRefuse()).frame(maxWidth: .infinity)
                    }
                    .buttonStyle(.bordered)
                    .accessibilityIdentifier("ask.refuse")
                }
                .controlSize(.large)
            }
            .padding(Theme.wide)
        }
        .presentationDetents([.medium, .large])
        .presentationDragIndicator(.visible)
    }

    private var cost: String { prompt.cost.map { Strings.atMost(Numbers.dollars($0)) } ?? Strings.unknown() }

    private func row(_ symbol: String, _ title: String, _ value: String) -> some View {
        Label {
            VStack(alignment: .leading, spacing: 2) {
                Text(title).font(.caption).foregroundStyle(.secondary)
                Text(value)
            }
        } icon: {
            Image(systemName: symbol).foregroundStyle(Theme.remote)
        }
        .accessibilityElement(children: .combine)
    }
}

#if !os(Linux)
    #Preview {
        AskSheet(
            prompt: ConsentPrompt(
                target: .provider(name: "openrouter", model: "deepseek/deepseek-v3.2"),
                reason: DemoContent.english.tooLong, dataPolicy: DemoContent.remoteDataPolicy,
                cost: 0.0004), onAccept: {}, onRefuse: {})
    }
#endif

// The models screen: installed models and their size, the catalogue with verdicts, and any other model by reference.

import SwiftUI
import UniformTypeIdentifiers

struct ModelsScreen: View {
    @Bindable var model: ModelsModel
    @State private var imports = false
    @State private var removing: ModelEntry?
    @State private var asksToRemove = false

    var body: some View {
        List {
            installed
            if !model.damaged.isEmpty { damaged }
            if !downloads.isEmpty { loading }
            if let failure = model.unreachable {
                Section {
                    UnreachableView(failure: failure, isChecking: model.isCheckingAll) { await model.checkAllFits() }
                }
            }
            catalogModels
            byReference
        }
        .listStyle(.insetGrouped)
        .navigationTitle(Strings.models())
        .toolbar {
            ToolbarItem(placement: .primaryAction) {
                Button {
                    imports = true
                } label: {
                    Label(Strings.importFile(), systemImage: "square.and.arrow.down")
                }
                .disabled(model.isImporting)
            }
        }
        .fileImporter(isPresented: $imports, allowedContentTypes: [.gguf]) { result in
            switch result {
            case .success(let file): Task { await model.importModel(file) }
            case .failure(let error): model.failure = BrainError(error)
            }
        }
        .confirmationDialog(
            Strings.removeQuestion(removing?.name ?? ""), isPresented: $asksToRemove, titleVisibility: .visible
        ) {
            Button(Strings.remove(), role: .destructive) {
                if let removing { Task { await model.remove(removing.id) } }
            }
            Button(Strings.cancel(), role: .cancel) {}
        }
        .task {
            await model.load()
            await model.checkAllFits()
        }
        .refreshable {
            await model.load()
            await model.checkAllFits()
        }
        .failureAlert($model.failure)
    }

    private var installed: some View {
        Section {
            if model.isImporting { ProgressView { Text(Strings.importing()) } }
            if model.installed.isEmpty { Text(Strings.noModels()).foregroundStyle(.secondary) }
            ForEach(model.installed) { entry in
                EntryRow(entry: entry) { EmptyView() }
                    .swipeActions(edge: .trailing) { removeButton(entry) }
                    .contextMenu { removeButton(entry) }
            }
        } header: {
            Text(Strings.installed())
        } footer: {
            if !model.installed.isEmpty { Text(Strings.spaceUsed(Numbers.bytes(model.usedBytes))) }
        }
    }

    private var damaged: some View {
        Section {
            ForEach(model.damaged) { entry in
                EntryRow(entry: entry) {
                    HStack(spacing: Theme.gap) {
                        if !entry.isImported, model.downloads[entry.reference] == nil {
                            Button(Strings.downloadAgain()) { model.download(entry.reference, name: entry.name) }
                        }
                        removeButton(entry)
                    }
                    .buttonStyle(.bordered)
                    .font(.footnote)
                }
            }
        } header: {
            Text(Strings.damagedModels())
        } footer: {
            Text(Strings.damagedModelsHint())
        }
    }

    private func removeButton(_ entry: ModelEntry) -> some View {
        // No destructive role: the row must stay until the user confirms.
        Button {
            removing = entry
            asksToRemove = true
        } label: {
            Label(Strings.remove(), systemImage: "trash")
        }
        .tint(.red)
    }

    private var downloads: [(reference: String, state: DownloadState)] {
        model.downloads.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
    }

    private var loading: some View {
        Section(Strings.downloads()) {
            ForEach(downloads, id: \.reference) { reference, state in
                DownloadRow(
                    state: state, onPause: { model.pause(reference) },
                    onResume: { model.download(reference, name: state.name) }
                )
                .swipeActions { Button(Strings.dismiss()) { model.dismiss(reference) } }
            }
        }
    }

    private var catalogModels: some View {
        Section(Strings.worthHaving()) {
            ForEach(model.available) { entry in
                let fit = model.fits[entry.reference]
                EntryRow(entry: entry) {
                    VerdictView(
                        fit: fit, guess: model.guesses[entry.reference],
                        unjudged: model.unjudged[entry.reference]?.summary)
                } trailing: {
                    if model.downloads[entry.reference] == nil {
                        DownloadButton(name: entry.name, isDisabled: fit?.verdict == .tooLarge) {
                            model.download(entry.reference, name: entry.name)
                        }
                    }
                }
            }
        }
    }

    private var byReference: some View {
        Section {
            ReferenceField(reference: $model.reference, identifier: "models.reference") { await model.checkTypedFit() }
            Button(Strings.checkFit()) { Task { await model.checkTypedFit() } }
                .disabled(model.reference.isEmpty || model.isJudging)
            if model.isJudging { ProgressView() }
            if let fit = model.typed {
                HStack {
                    VerdictView(fit: fit)
                    Spacer()
                    DownloadButton(name: fit.reference, isDisabled: fit.verdict == .tooLarge) {
                        model.download(fit.reference, name: fit.reference)
                    }
                }
            }
        } header: {
            Text(Strings.anyOther())
        } footer: {
            Text(Strings.referenceHint())
        }
    }
}

/// A model's name, maker, size and license.
struct EntryRow<Details: View, Trailing: View>: View {
    let entry: ModelEntry
    @ViewBuilder let details: () -> Details
    @ViewBuilder let trailing: () -> Trailing

    var body: some View {
        HStack(alignment: .top, spacing: Theme.gap) {
            VStack(alignment: .leading, spacing: Theme.tight) {
                HStack(spacing: Theme.tight) {
                    Text(entry.name).font(.headline)
                    if entry.reasons {
                        Image(systemName: "brain").font(.caption).foregroundStyle(.secondary)
                            .accessibilityLabel(Strings.reasons())
                    }
                }
                Text(facts).font(.caption).foregroundStyle(.secondary)
                if !entry.note.isEmpty { Text(entry.note).font(.subheadline) }
                details()
            }
            Spacer(minLength: 0)
            trailing()
        }
        .padding(.vertical, 4)
    }

    private var facts: String {
        [entry.maker, Numbers.bytes(entry.sizeBytes), entry.quantization, entry.license]
            .filter { !$0.isEmpty }.joined(separator: " · ")
    }
}

extension EntryRow where Trailing == EmptyView {
    init(entry: ModelEntry, @ViewBuilder details: @escaping () -> Details) {
        self.init(entry: entry, details: details, trailing: { EmptyView() })
    }
}

/// Says once why no model can be checked, and offers to check again.
struct UnreachableView: View {
    let failure: BrainError
    let isChecking: Bool
    let onCheck: @MainActor () async -> Void

    var body: some View {
        VStack(alignment: .leading, spacing: Theme.tight) {
            Label(failure.title, systemImage: "wifi.slash").font(.subheadline).foregroundStyle(Theme.caution)
            Text(Strings.guessesHint()).font(.footnote).foregroundStyle(.secondary)
            HStack(spacing: Theme.gap) {
                Button(Strings.checkAgain()) { Task { await onCheck() } }
                    .buttonStyle(.bordered)
                    .disabled(isChecking)
                    .accessibilityIdentifier("models.checkAgain")
                if isChecking { ProgressView() }
            }
        }
        .card()
    }
}

/// The verdict, its reason and suggestions; without a check a guess.
struct VerdictView: View {
    let fit: Fit?
    var guess: FitLevel?
    var unjudged: String?

    var body: some View {
        if let fit {
            VStack(alignment: .leading, spacing: 4) {
                VerdictBadge(verdict: fit.verdict)
                ForEach(fit.reasons, id: \.self) { Text($0).font(.caption).foregroundStyle(.secondary) }
                ForEach(fit.suggestions, id: \.self) { suggestion in
                    Label(suggestion, systemImage: "lightbulb").font(.caption)
                }
            }
        } else if let guess {
            HStack(spacing: Theme.tight) {
                VerdictBadge(verdict: guess)
                Text(Strings.guessBySize()).font(.caption).foregroundStyle(.secondary)
            }
        } else if let unjudged {
            Label(unjudged, systemImage: "questionmark.circle").font(.caption).foregroundStyle(.secondary)
        } else {
            Text(Strings.checking()).font(.caption).foregroundStyle(.secondary)
        }
    }
}

private struct DownloadButton: View {
    let name: String
    let isDisabled: Bool
    let action: @MainActor () -> Void

    var body: some View {
        Button(action: action) { Image(systemName: "arrow.down.circle").font(.title2) }
            .buttonStyle(.borderless)
            .disabled(isDisabled)
            .accessibilityLabel(Strings.downloadModel(name))
    }
}

/// Progress of a download with a pause button.
struct DownloadRow: View {
    let state: DownloadState
    let onPause: @MainActor () -> Void
    let onResume: @MainActor () -> Void

    var body: some View {
        VStack(alignment: .leading, spacing: Theme.tight) {
            HStack {
                Text(state.name).font(.headline).lineLimit(1)
                Spacer()
                Button(action: state.isRunning ? onPause : onResume) {
                    Image(systemName: state.isRunning ? "pause.circle" : "play.circle").font(.title2)
                }
                .buttonStyle(.borderless)
                .accessibilityLabel(state.isRunning ? Strings.pause() : Strings.resume())
                .accessibilityIdentifier(state.isRunning ? "download.pause" : "download.resume")
            }
            ProgressView(value: state.fraction)
                .accessibilityLabel(state.name)
                .accessibilityValue(Numbers.percent(state.fraction))
            Text(detail).font(.caption.monospacedDigit()).foregroundStyle(.secondary)
            if case .failed(let failure) = state.phase {
                HStack(spacing: Theme.gap) { FailureButtons(failure: failure) }.font(.footnote).buttonStyle(.bordered)
            }
        }
        .padding(.vertical, 4)
    }

    private var detail: String {
        let amount = Strings.amountOf(Numbers.bytes(state.done), Numbers.bytes(state.total))
        switch state.phase {
        case .resolving: return Strings.looking()
        case .verifying: return Strings.verifying()
        case .paused: return Strings.pausedAt(amount)
        case .failed(let failure): return failure.summary
        case .loading:
            guard let seconds = state.secondsLeft else { return amount }
            return amount + " · " + Strings.timeLeft(Numbers.seconds(seconds))
        }
    }
}

extension UTType {
    /// A model file. The system does not know the type; the file extension is enough.
    static var gguf: UTType { UTType(filenameExtension: "gguf") ?? .data }
}

#if !os(Linux)
    #Preview("Models") { PreviewModels(brain: DemoBrain()) }

    #Preview("Empty") { PreviewModels(brain: DemoBrain(fresh: true)) }

    #Preview("Downloads") {
        List {
            DownloadRow(
                state: DownloadState(
                    name: "Qwen2.5 1.5B", phase: .loading, done: 400_000_000, total: 1_117_000_000,
                    bytesPerSecond: 11_000_000), onPause: {}, onResume: {})
            DownloadRow(
                state: DownloadState(name: "SmolLM2", phase: .paused, done: 1, total: 3), onPause: {}, onResume: {})
            DownloadRow(
                state: DownloadState(name: "R1", phase: .failed(BrainError("the disk is full", reason: .diskFull))),
                onPause: {}, onResume: {})
        }
    }

    private struct PreviewModels: View {
        @State private var model: ModelsModel

        init(brain: any Brain) { _model = State(initialValue: ModelsModel(brain: brain)) }

        var body: some View { NavigationStack { ModelsScreen(model: model) } }
    }
#endif

/// The field for any model reference.
struct ReferenceField: View {
    @Binding var reference: String
    let identifier: String
    let submit: () async -> Void

    var body: some View {
        TextField("hf:ORG/REPO:Q4_K_M", text: $reference)
            .textInputAutocapitalization(.never)
            .autocorrectionDisabled()
            .font(.body.monospaced())
            .onSubmit { Task { await submit() } }
            .accessibilityLabel(Strings.reference())
            .accessibilityIdentifier(identifier)
    }
}

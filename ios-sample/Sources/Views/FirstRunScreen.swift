// The first run: choose a model that fits, download it, ask a question; or enter the demo.

import SwiftUI
import UniformTypeIdentifiers

struct FirstRunScreen: View {
    @Bindable var model: FirstRunModel
    let onDemo: @MainActor () -> Void
    @State private var imports = false

    var body: some View {
        NavigationStack {
            switch model.step {
            case .pick: pick
            case .download: download
            case .chat: chat
            }
        }
        .task { await model.load() }
        .fileImporter(isPresented: $imports, allowedContentTypes: [.gguf]) { result in
            switch result {
            case .success(let file): Task { await model.importModel(file) }
            case .failure(let error): model.failure = BrainError(error)
            }
        }
        .failureAlert($model.failure)
        .failureAlert(Bindable(model.models).failure)
    }

    // MARK: 1. Choose

    private var pick: some View {
        ScrollView {
            VStack(alignment: .leading, spacing: Theme.wide) {
                header(Strings.firstRunTitle(), Strings.firstRunHint())
                if let failure = model.models.unreachable {
                    UnreachableView(failure: failure, isChecking: model.models.isCheckingAll) {
                        await model.checkAgain()
                    }
                }
                ForEach(model.models.catalogModels) { entry in
                    PickCard(
                        entry: entry, fit: model.models.fits[entry.reference],
                        guess: model.models.guesses[entry.reference],
                        unjudged: model.models.unjudged[entry.reference]?.summary, isPicked: model.picked == entry,
                        isRecommended: model.models.recommended == entry
                    ) { model.pick(entry) }
                }
                anyOther
                Button {
                    imports = true
                } label: {
                    Label(Strings.haveAFile(), systemImage: "folder")
                }
                .disabled(model.models.isImporting)
                if model.models.isImporting { ProgressView { Text(Strings.importing()) } }
            }
            .frame(maxWidth: Theme.column)
            .frame(maxWidth: .infinity)
            .padding(Theme.wide)
        }
        .safeAreaInset(edge: .bottom, spacing: 0) {
            footer {
                wideButton(
                    model.picked.map { Strings.downloadSize(Numbers.bytes($0.sizeBytes)) } ?? Strings.pickAModel(),
                    "first.download"
                ) { model.startDownload() }
                .buttonStyle(.borderedProminent)
                .disabled(!model.canDownload)
                wideButton(Strings.tryDemo(), "first.demo", action: onDemo).buttonStyle(.bordered)
            }
        }
    }

    private var anyOther: some View {
        VStack(alignment: .leading, spacing: Theme.gap) {
            Text(Strings.anyOther()).font(.headline)
            ReferenceField(reference: Bindable(model.models).reference, identifier: "first.reference") {
                await model.pickTyped()
            }
            HStack {
                Button(Strings.checkFit()) { Task { await model.pickTyped() } }
                    .disabled(model.models.reference.isEmpty || model.models.isJudging)
                    .accessibilityIdentifier("first.check")
                if model.models.isJudging { ProgressView() }
            }
            if let fit = model.models.typed { VerdictView(fit: fit) }
        }
        .card()
    }

    // MARK: 2. Download

    private var download: some View {
        VStack(alignment: .leading, spacing: Theme.wide) {
            header(Strings.downloadTitle(model.picked?.name ?? ""), Strings.downloadHint())
            if let state = model.download {
                DownloadRow(state: state, onPause: { model.pauseDownload() }, onResume: { model.startDownload() })
                    .card()
            }
            Spacer()
            wideButton(Strings.pickAnother(), "first.back") { model.back() }.buttonStyle(.bordered)
        }
        .frame(maxWidth: Theme.column)
        .frame(maxWidth: .infinity)
        .padding(Theme.wide)
    }

    // MARK: 3. Chat

    @ViewBuilder private var chat: some View {
        if let chat = model.chat {
            ChatScreen(model: chat) { Task { await model.openModels() } }
                .toolbar {
                    ToolbarItem(placement: .cancellationAction) {
                        Button(Strings.done()) { Task { await model.finish() } }
                            .accessibilityIdentifier("first.done")
                    }
                }
        }
    }

    private func header(_ title: String, _ hint: String) -> some View {
        VStack(alignment: .leading, spacing: Theme.gap) {
            StepDots(step: model.step)
            Text(title).font(.largeTitle.weight(.bold)).accessibilityAddTraits(.isHeader)
            Text(hint).foregroundStyle(.secondary)
        }
    }

    private func footer(@ViewBuilder _ content: () -> some View) -> some View {
        VStack(spacing: Theme.gap, content: content)
            .controlSize(.large)
            .frame(maxWidth: Theme.column)
            .padding(Theme.edge)
            .frame(maxWidth: .infinity)
            .background(.bar)
    }

    private func wideButton(_ title: String, _ identifier: String, action: @escaping @MainActor () -> Void) -> some View
    {
        Button(action: action) { Text(title).frame(maxWidth: .infinity) }.accessibilityIdentifier(identifier)
    }
}

private struct StepDots: View {
    let step: FirstRunModel.Step

    var body: some View {
        HStack(spacing: Theme.tight) {
            ForEach(FirstRunModel.Step.allCases, id: \.self) { each in
                Capsule()
                    .fill(each.rawValue <= step.rawValue ? Theme.accent : Theme.surface)
                    .frame(width: each == step ? 28 : 10, height: 6)
            }
        }
        .accessibilityElement(children: .ignore)
        .accessibilityLabel(Strings.stepOf("\(step.rawValue + 1)", "\(FirstRunModel.Step.allCases.count)"))
    }
}

private struct PickCard: View {
    let entry: ModelEntry
    let fit: Fit?
    let guess: FitLevel?
    let unjudged: String?
    let isPicked: Bool
    let isRecommended: Bool
    let onPick: @MainActor () -> Void

    var body: some View {
        Button(action: onPick) {
            VStack(alignment: .leading, spacing: Theme.tight) {
                if isRecommended {
                    Label(Strings.recommended(), systemImage: "star.fill")
                        .font(.caption.weight(.semibold))
                        .foregroundStyle(Theme.accent)
                }
                EntryRow(entry: entry) { VerdictView(fit: fit, guess: guess, unjudged: unjudged) }
            }
            .card()
            .overlay {
                RoundedRectangle(cornerRadius: Theme.corner).strokeBorder(
                    isPicked ? Theme.accent : .clear, lineWidth: 2)
            }
        }
        .buttonStyle(.plain)
        .disabled(fit?.verdict == .tooLarge)
        .accessibilityAddTraits(isPicked ? [.isButton, .isSelected] : .isButton)
    }
}

#if !os(Linux)
    #Preview("Pick") { PreviewFirstRun() }

    private struct PreviewFirstRun: View {
        @State private var model: FirstRunModel

        init() {
            let brain = DemoBrain(fresh: true)
            _model = State(initialValue: FirstRunModel(brain: brain, models: ModelsModel(brain: brain)))
        }

        var body: some View { FirstRunScreen(model: model) {} }
    }
#endif

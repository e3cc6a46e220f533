// The chat screen: messages, the current answer, and the input field.

import SwiftUI

#if canImport(Accessibility)
    import Accessibility
#endif

struct ChatScreen: View {
    @Bindable var model: ChatModel
    let onOpenModels: @MainActor () -> Void

    @State private var picks = false
    @State private var showsCosts = false
    @FocusState private var isTyping: Bool
    @Environment(\.accessibilityReduceMotion) private var reducesMotion

    var body: some View {
        transcript
            .safeAreaInset(edge: .bottom, spacing: 0) { composer }
            .navigationTitle(model.title.isEmpty ? Strings.newChat() : model.title)
            .navigationBarTitleDisplayMode(.inline)
            .toolbar {
                ToolbarItem(placement: .principal) { pickerButton }
                ToolbarItem(placement: .primaryAction) { optionsMenu }
            }
            .sheet(isPresented: $picks) {
                ModelPicker(model: model, onOpenModels: onOpenModels)
            }
            .sheet(isPresented: $showsCosts) { CostsSheet(model: model) }
            .sheet(item: $model.consentPrompt, onDismiss: { model.promptClosed() }) { consentPrompt in
                AskSheet(prompt: consentPrompt, onAccept: { model.accept() }, onRefuse: { model.refuse() })
            }
            .sensoryFeedback(.success, trigger: model.ended) { _, ended in ended?.status == .done }
            .onChange(of: model.ended) { _, ended in
                if let ended { AccessibilityNotification.Announcement(AttributedString(ended.announcement)).post() }
            }
            .task { await model.load() }
    }

    // MARK: Messages

    private var transcript: some View {
        ScrollViewReader { proxy in
            ScrollView {
                LazyVStack(alignment: .leading, spacing: Theme.wide) {
                    if model.messages.isEmpty { greeting }
                    ForEach(model.messages) { message in
                        MessageView(
                            message: message, blocks: message.author == .model ? model.blocks(of: message) : [],
                            isLast: message.id == model.messages.last?.id,
                            canContinue: model.canContinue, canContinueRemotely: model.canContinueRemotely,
                            isBusy: model.isAnswering, act: { act($0, on: message) })
                    }
                    if let failure = model.failure {
                        FailureView(failure: failure, onRepeat: onRetry) { model.failure = nil }
                    }
                    Color.clear.frame(height: 1).id(Self.end)
                }
                .frame(maxWidth: Theme.column)
                .frame(maxWidth: .infinity)
                .padding(Theme.edge)
            }
            .scrollDismissesKeyboard(.interactively)
            .defaultScrollAnchor(.bottom)
            .onChange(of: model.messages.count) {
                if reducesMotion {
                    proxy.scrollTo(Self.end, anchor: .bottom)
                } else {
                    withAnimation { proxy.scrollTo(Self.end, anchor: .bottom) }
                }
            }
        }
    }

    private static let end = "end"

    private var onRetry: (@MainActor () -> Void)? {
        guard model.canRetry else { return nil }
        return { model.retry() }
    }

    private func act(_ action: MessageAction, on message: MessageEntry) {
        switch action {
        case .edit:
            model.beginEdit(message.id)
            isTyping = true
        case .regenerate: model.regenerate(message.id)
        case .resume: model.resume()
        case .continueRemotely: model.continueRemotely()
        case .selectVersion(let offset): Task { await model.selectVersion(offset, from: message) }
        }
    }

    private var greeting: some View {
        VStack(alignment: .leading, spacing: Theme.edge) {
            Text(Strings.greeting()).font(.title2.weight(.semibold))
            ForEach([Strings.starterTides(), Strings.starterLetter(), Strings.starterCode()], id: \.self) { starter in
                Button {
                    model.draft = starter
                    isTyping = true
                } label: {
                    Text(starter).multilineTextAlignment(.leading).card()
                }
                .buttonStyle(.plain)
            }
        }
        .padding(.vertical, Theme.wide)
    }

    // MARK: Input

    private var composer: some View {
        VStack(spacing: Theme.tight) {
            if model.editing != nil {
                HStack {
                    Label(Strings.editing(), systemImage: "pencil").font(.footnote.weight(.medium))
                    Spacer()
                    Button(Strings.cancel()) { model.cancelEdit() }.font(.footnote)
                }
                .foregroundStyle(Theme.accent)
            }
            HStack(alignment: .bottom, spacing: Theme.gap) {
                TextField(Strings.messagePlaceholder(), text: $model.draft, axis: .vertical)
                    .lineLimit(1...6)
                    .focused($isTyping)
                    .padding(.horizontal, 14)
                    .padding(.vertical, 10)
                    .background(Theme.surface, in: RoundedRectangle(cornerRadius: 22))
                    .accessibilityIdentifier("chat.field")
                if model.isAnswering { stopButton } else { sendButton }
            }
        }
        .frame(maxWidth: Theme.column)
        .frame(maxWidth: .infinity)
        .padding(.horizontal, Theme.edge)
        .padding(.vertical, Theme.tight)
        .background(.bar)
    }

    private var sendButton: some View {
        Button {
            model.send()
        } label: {
            Image(systemName: "arrow.up.circle.fill").font(.largeTitle)
        }
        .disabled(!model.canSend)
        .keyboardShortcut(.return, modifiers: .command)
        .accessibilityLabel(Strings.send())
        .accessibilityIdentifier("chat.send")
    }

    private var stopButton: some View {
        Button {
            model.stop()
        } label: {
            Image(systemName: "stop.circle.fill").font(.largeTitle)
        }
        .keyboardShortcut(".", modifiers: .command)
        .accessibilityLabel(Strings.stop())
        .accessibilityIdentifier("chat.stop")
    }

    // MARK: Model and options

    private var pickerButton: some View {
        Button {
            picks = true
        } label: {
            VStack(spacing: 0) {
                Text(model.title.isEmpty ? Strings.newChat() : model.title).font(.headline).lineLimit(1)
                HStack(spacing: 4) {
                    Image(systemName: model.chosen?.target.symbol ?? "wand.and.stars")
                    Text(model.chosen?.name ?? Strings.automatic()).lineLimit(1)
                    Image(systemName: "chevron.down")
                }
                .font(.caption2)
                .foregroundStyle(.secondary)
            }
        }
        .buttonStyle(.plain)
        .accessibilityLabel(Strings.chooseModel())
        .accessibilityValue(model.chosen?.name ?? Strings.automatic())
        .accessibilityIdentifier("chat.picker")
    }

    private var optionsMenu: some View {
        Menu {
            Section(Strings.preset()) {
                ForEach(model.presets, id: \.preset) { info in
                    Button {
                        Task { await model.choose(info.preset) }
                    } label: {
                        Label(
                            presetTitle(info),
                            systemImage: info == model.presetInfo ? "checkmark" : "thermometer.medium")
                    }
                }
            }
            if model.canSearchWeb {
                Toggle(isOn: $model.webSearch) { Label(Strings.webSearch(), systemImage: "globe") }
            }
            Button {
                showsCosts = true
            } label: {
                Label(Strings.compareCosts(), systemImage: "dollarsign.circle")
            }
        } label: {
            Label(Strings.options(), systemImage: "slider.horizontal.3")
        }
    }

    private func presetTitle(_ info: PresetInfo) -> String {
        guard let temperature = info.temperature else { return info.preset.title }
        return Strings.presetWithTemperature(info.preset.title, Numbers.temperature(temperature))
    }
}

extension EndedAnswer {
    /// Spoken, because the end cannot be heard otherwise.
    fileprivate var announcement: String {
        switch status {
        case .done, .writing: Strings.answerDone()
        case .stopped: Strings.statusStopped()
        case .cutShort: Strings.statusCutShort()
        case .interrupted: Strings.statusInterrupted()
        case .failed(let failure): failure.title
        }
    }
}

/// Lists the cost of the next message for each model.
struct CostsSheet: View {
    let model: ChatModel
    @Environment(\.dismiss) private var dismiss

    var body: some View {
        NavigationStack {
            List {
                if let failure = model.failure { FailureView(failure: failure) { model.failure = nil } }
                ForEach(model.costs) { line in
                    LabeledContent {
                        Text(line.dollars.map { Numbers.dollars($0) } ?? Strings.unknown()).monospacedDigit()
                    } label: {
                        Label {
                            VStack(alignment: .leading) {
                                Text(line.target.title)
                                Text(line.target.model).font(.caption).foregroundStyle(.secondary)
                                if !line.isSetUp { Text(Strings.notSetUp()).font(.caption).foregroundStyle(.secondary) }
                                if !line.asOf.isEmpty {
                                    Text(Strings.asOf(line.asOf)).font(.caption2).foregroundStyle(.secondary)
                                }
                            }
                        } icon: {
                            Image(systemName: line.target.symbol)
                        }
                    }
                }
            }
            .navigationTitle(Strings.compareCosts())
            .navigationBarTitleDisplayMode(.inline)
            .toolbar { ToolbarItem(placement: .confirmationAction) { Button(Strings.done()) { dismiss() } } }
        }
        .presentationDetents([.medium, .large])
        .task { await model.loadCosts() }
    }
}

#if !os(Linux)
    #Preview("A chat") { PreviewChat(id: 1) }

    #Preview("Empty") { PreviewChat(id: nil) }

    #Preview("Large type") { PreviewChat(id: 2).environment(\.dynamicTypeSize, .accessibility2) }

    #Preview("Writing") { PreviewChat(id: nil, says: "Why do the tides come twice a day?") }

    private struct PreviewChat: View {
        @State private var model: ChatModel
        let says: String?

        init(id: ChatID?, says: String? = nil) {
            _model = State(initialValue: ChatModel(brain: DemoBrain(), chatID: id))
            self.says = says
        }

        var body: some View {
            NavigationStack { ChatScreen(model: model) {} }
                .task {
                    guard let says else { return }
                    model.draft = says
                    model.send()
                }
        }
    }
#endif

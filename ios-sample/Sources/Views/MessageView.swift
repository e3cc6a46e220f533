// One message: the user's text, or an answer with its reasoning collapsed, its text, its receipt and its actions.

import SwiftUI

#if canImport(UIKit)
    import UIKit
#endif

enum MessageAction {
    case edit, regenerate, resume, continueRemotely
    /// Selects the version at an offset from this one.
    case selectVersion(Int)
}

struct MessageView: View {
    let message: MessageEntry
    /// The text of an answer.
    let blocks: [MarkdownBlock]
    let isLast: Bool
    let canContinue: Bool
    let canContinueRemotely: Bool
    let isBusy: Bool
    let act: @MainActor (MessageAction) -> Void

    var body: some View {
        switch message.author {
        case .user: question
        case .model: answer
        }
    }

    private var question: some View {
        VStack(alignment: .trailing, spacing: Theme.tight) {
            Text(message.text)
                .textSelection(.enabled)
                .padding(.horizontal, 14)
                .padding(.vertical, 10)
                .background(Theme.bubble, in: RoundedRectangle(cornerRadius: Theme.corner))
                .contextMenu {
                    Button {
                        Clipboard.copy(message.text)
                    } label: {
                        Label(Strings.copy(), systemImage: "doc.on.doc")
                    }
                    Button {
                        act(.edit)
                    } label: {
                        Label(Strings.edit(), systemImage: "pencil")
                    }.disabled(isBusy)
                }
            HStack(spacing: Theme.gap) {
                VersionPicker(message: message, isBusy: isBusy, act: act)
                IconButton(title: Strings.edit(), symbol: "pencil", isDisabled: isBusy) { act(.edit) }
            }
        }
        .frame(maxWidth: .infinity, alignment: .trailing)
        .padding(.leading, 40)
    }

    private var answer: some View {
        VStack(alignment: .leading, spacing: Theme.gap) {
            if !message.reasoning.isEmpty {
                ReasoningView(
                    text: message.reasoning, seconds: message.reasoningSeconds,
                    isThinking: message.status == .writing && message.text.isEmpty)
            }
            if message.text.isEmpty, message.reasoning.isEmpty, message.status == .writing {
                ProgressView().accessibilityLabel(Strings.writing())
            }
            MarkdownView(blocks: blocks)
            citations
            if message.omittedMessages > 0 {
                note(Strings.omittedHint("\(message.omittedMessages)"), "text.badge.minus")
            }
            status
            if let receipt = message.receipt, message.status != .writing { ReceiptView(receipt: receipt) }
            if message.status != .writing { actions }
        }
        .frame(maxWidth: .infinity, alignment: .leading)
        .accessibilityElement(children: .contain)
        .accessibilityIdentifier(isLast ? "chat.answer" : "")
    }

    @ViewBuilder private var citations: some View {
        ForEach(message.citations, id: \.self) { citation in
            if let url = URL(string: citation.url) {
                Link(destination: url) {
                    Label(citation.title.isEmpty ? citation.url : citation.title, systemImage: "link").lineLimit(1)
                }
                .font(.footnote)
            }
        }
    }

    @ViewBuilder private var status: some View {
        switch message.status {
        case .done, .writing: EmptyView()
        case .stopped: note(Strings.statusStopped(), "stop.circle")
        case .cutShort: note(Strings.statusCutShort(), "scissors")
        case .interrupted: note(Strings.statusInterrupted(), "bolt.slash")
        case .failed(let error):
            note(error.summary, "exclamationmark.triangle")
            HStack(spacing: Theme.gap) { FailureButtons(failure: error, onRepeat: onAskAgain(error)) }
                .font(.footnote).buttonStyle(.bordered)
        }
        if isLast, canContinue {
            HStack(spacing: Theme.gap) {
                Button(Strings.goOn()) { act(.resume) }.accessibilityIdentifier("chat.continue")
                if canContinueRemotely { Button(Strings.continueRemotely()) { act(.continueRemotely) } }
            }
            .font(.subheadline)
            .buttonStyle(.bordered)
        }
    }

    /// To continue an answer without consent is to be asked again.
    private func onAskAgain(_ failure: BrainError) -> (@MainActor () -> Void)? {
        guard isLast, canContinue, failure.reason == .consentRequired else { return nil }
        return { act(.resume) }
    }

    private func note(_ text: String, _ symbol: String) -> some View {
        Label(text, systemImage: symbol).font(.footnote).foregroundStyle(.secondary)
    }

    private var actions: some View {
        HStack(spacing: Theme.gap) {
            IconButton(title: Strings.copy(), symbol: "doc.on.doc") { Clipboard.copy(message.text) }
            IconButton(title: Strings.regenerate(), symbol: "arrow.clockwise", isDisabled: isBusy) { act(.regenerate) }
            VersionPicker(message: message, isBusy: isBusy, act: act)
        }
    }
}

/// The collapsed reasoning with its duration.
private struct ReasoningView: View {
    let text: String
    let seconds: Double
    let isThinking: Bool
    @State private var isOpen = false

    var body: some View {
        DisclosureGroup(isExpanded: $isOpen) {
            Text(text)
                .font(.subheadline)
                .foregroundStyle(.secondary)
                .textSelection(.enabled)
                .frame(maxWidth: .infinity, alignment: .leading)
                .padding(.top, Theme.tight)
        } label: {
            Label(
                isThinking ? Strings.thinking() : Strings.thoughtFor(Numbers.seconds(seconds)), systemImage: "brain"
            )
            .font(.subheadline.weight(.medium))
            .foregroundStyle(.secondary)
        }
        .card()
    }
}

/// `2 of 3` with buttons for the other versions; empty if there is only one.
private struct VersionPicker: View {
    let message: MessageEntry
    let isBusy: Bool
    let act: @MainActor (MessageAction) -> Void

    var body: some View {
        if message.versions.count > 1, let index = message.versions.firstIndex(of: message.id) {
            HStack(spacing: 2) {
                IconButton(
                    title: Strings.earlierVersion(), symbol: "chevron.backward", isDisabled: isBusy || index == 0
                ) {
                    act(.selectVersion(-1))
                }
                Text(Strings.versionOf("\(index + 1)", "\(message.versions.count)"))
                    .font(.footnote.monospacedDigit())
                    .foregroundStyle(.secondary)
                IconButton(
                    title: Strings.laterVersion(), symbol: "chevron.forward",
                    isDisabled: isBusy || index == message.versions.count - 1
                ) { act(.selectVersion(1)) }
            }
        }
    }
}

/// A plain button with a sufficient touch target.
private struct IconButton: View {
    let title: String
    let symbol: String
    var isDisabled = false
    let action: @MainActor () -> Void

    var body: some View {
        Button(action: action) {
            Image(systemName: symbol)
                .font(.footnote)
                .frame(minWidth: 44, minHeight: 44)
                .contentShape(Rectangle())
        }
        .buttonStyle(.plain)
        .foregroundStyle(isDisabled ? .tertiary : .secondary)
        .disabled(isDisabled)
        .accessibilityLabel(title)
    }
}

enum Clipboard {
    @MainActor
    static func copy(_ text: String) {
        #if canImport(UIKit)
            UIPasteboard.general.string = text
        #endif
    }
}

#if !os(Linux)
    #Preview("States") {
        let offline = BrainError("no network", reason: .offline)
        let states: [MessageStatus] = [.writing, .done, .stopped, .cutShort, .interrupted, .failed(offline)]
        ScrollView {
            ForEach(Array(states.enumerated()), id: \.offset) { index, status in
                MessageView(
                    message: MessageEntry(
                        id: UInt64(index), author: .model, text: "Because the moon pulls **unevenly**.",
                        reasoning: "Two bulges.", reasoningSeconds: 3, status: status, versions: [UInt64(index), 99]),
                    blocks: Markdown("Because the moon pulls **unevenly**.").blocks, isLast: true, canContinue: true,
                    canContinueRemotely: true, isBusy: false, act: { _ in }
                )
                .padding()
            }
        }
    }
#endif

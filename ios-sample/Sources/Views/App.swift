// The app's entry point and root view.

import Foundation
import SwiftUI

@main
struct NearsideSampleApp: App {
    @State private var model = AppModel.launched()

    var body: some Scene {
        WindowGroup {
            RootView(model: model)
        }
    }
}

extension AppModel {
    /// `-demo`: no model, no network. `-fresh`: a first start. `NEARSIDE_…`: hub and folder of UI tests.
    @MainActor
    static func launched() -> AppModel {
        let process = ProcessInfo.processInfo
        let isFresh = process.arguments.contains("-fresh")
        let directory =
            process.environment["NEARSIDE_DIRECTORY"].map { URL(fileURLWithPath: $0) }
            ?? FileManager.default.urls(for: .applicationSupportDirectory, in: .userDomainMask)[0]
        return AppModel(
            real: { try await NearsideBrain(directory: directory, hub: process.environment["NEARSIDE_HUB"]) },
            demo: { DemoBrain(fresh: isFresh) }, startsInDemo: process.arguments.contains("-demo"))
    }
}

struct RootView: View {
    @Bindable var model: AppModel
    @Environment(\.scenePhase) private var phase
    /// The visible column on a phone; the system sets it when the user goes back.
    @State private var column = NavigationSplitViewColumn.sidebar

    var body: some View {
        content
            .tint(Theme.accent)
            .safeAreaInset(edge: .top, spacing: 0) { ConditionBanner(condition: model.condition, isDemo: model.isDemo) }
            .task { await model.start() }
            .task(id: phase) {
                guard phase == .active else { return }
                // The banner may be five seconds late; the library is notified at once.
                while !Task.isCancelled {
                    await model.refreshCondition()
                    try? await Task.sleep(for: .seconds(5))
                }
            }
            .environment(model)
    }

    @ViewBuilder private var content: some View {
        if case .failed(let failure) = model.opening {
            ContentUnavailableView {
                Label(failure.title, systemImage: "exclamationmark.triangle")
            } description: {
                Text(failure.detail)
            } actions: {
                Button(Strings.actionTryAgain()) { Task { await model.start() } }
                    .buttonStyle(.borderedProminent)
                    .accessibilityIdentifier("opening.retry")
                Button(Strings.tryDemo()) { Task { await model.enterDemo() } }
            }
        } else if let firstRun = model.firstRun {
            FirstRunScreen(model: firstRun) { Task { await model.enterDemo() } }
        } else if model.isLoaded {
            TabView(selection: $model.tab) {
                chats
                    .tabItem { Label(Strings.chats(), systemImage: "bubble.left.and.bubble.right") }
                    .tag(AppTab.chats)
                NavigationStack { ModelsScreen(model: model.models) }
                    .tabItem { Label(Strings.models(), systemImage: "square.stack.3d.up") }
                    .tag(AppTab.models)
                NavigationStack { SettingsScreen(model: model.settings, app: model) }
                    .tabItem { Label(Strings.settings(), systemImage: "gearshape") }
                    .tag(AppTab.settings)
            }
        } else {
            ProgressView { Text(Strings.opening()) }.frame(maxWidth: .infinity, maxHeight: .infinity)
        }
    }

    /// One column on a phone, side by side on a tablet.
    private var chats: some View {
        NavigationSplitView(preferredCompactColumn: $column) {
            ChatsScreen(
                model: model.chats, opened: model.chat?.chatID, onOpen: { show($0) }, onNew: { show(nil) },
                onDelete: { chat in Task { await model.delete(chat) } })
        } detail: {
            if let chat = model.chat {
                ChatScreen(model: chat) { model.tab = .models }
                    // Identify by chat, so that each has its own scroll position and focus.
                    .id(ObjectIdentifier(chat))
            } else {
                ContentUnavailableView(
                    Strings.noChatOpen(), systemImage: "bubble.left.and.text.bubble.right",
                    description: Text(Strings.noChatOpenHint()))
            }
        }
        .onChange(of: model.chat == nil) { _, isClosed in column = isClosed ? .sidebar : .detail }
    }

    /// Opens a chat. `nil`: a new one.
    private func show(_ chat: ChatID?) {
        if let chat { model.open(chat) } else { model.newChat() }
        column = .detail
    }
}

/// Banners while they apply: the device is hot, memory is low, nothing can be stored, this is the demo.
struct ConditionBanner: View {
    let condition: DeviceCondition
    let isDemo: Bool
    @Environment(\.accessibilityReduceMotion) private var reducesMotion

    var body: some View {
        VStack(spacing: 0) {
            if condition.isHot { line(Strings.bannerHot(), "thermometer.high", Theme.caution) }
            if condition.isShortOfMemory { line(Strings.bannerMemory(), "memorychip", Theme.caution) }
            if condition.isReadOnly { line(Strings.bannerReadOnly(), "lock", Theme.caution) }
            if isDemo { line(Strings.bannerDemo(), "sparkles", Theme.remote) }
        }
        .animation(reducesMotion ? nil : .default, value: condition)
    }

    private func line(_ text: String, _ symbol: String, _ color: Color) -> some View {
        Label(text, systemImage: symbol)
            .font(.footnote.weight(.medium))
            .frame(maxWidth: .infinity)
            .padding(.vertical, Theme.tight)
            .padding(.horizontal, Theme.edge)
            .foregroundStyle(color)
            .background(color.opacity(0.14))
            .background(.background)
            .transition(.opacity)
            .accessibilityElement(children: .combine)
    }
}

#if !os(Linux)
    #Preview("Demo") { RootView(model: AppModel(real: { DemoBrain() }, startsInDemo: true)) }

    #Preview("First run") { RootView(model: AppModel(real: { DemoBrain(fresh: true) })) }

    #Preview("Not opened") {
        RootView(model: AppModel(real: { throw BrainError("the disk is full", reason: .diskFull) }))
    }

    #Preview("Hot, low on memory") {
        ConditionBanner(condition: DeviceCondition(isHot: true, isShortOfMemory: true), isDemo: true)
    }
#endif

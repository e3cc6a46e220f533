// The privacy page: what leaves this device and when, and what never does, for the current settings.

import SwiftUI

struct PrivacyScreen: View {
    let model: SettingsModel

    var body: some View {
        List {
            Section {
                Label {
                    Text(model.canLeave ? Strings.privacyCanLeave() : Strings.privacyNothingLeaves()).font(.headline)
                } icon: {
                    Image(systemName: model.canLeave ? "paperplane" : "lock.fill")
                        .foregroundStyle(model.canLeave ? Theme.remote : Theme.onDevice)
                }
                .padding(.vertical, Theme.tight)
            } footer: {
                Text(Strings.privacyNow(model.preferences.mode.title, model.preferences.privacy.title))
            }
            Section(Strings.whatLeaves()) {
                fact("bubble.left", Strings.leavesWords(), model.canLeave ? whenWordsLeave : Strings.never())
                fact("arrow.down.circle", Strings.leavesDownloads(), Strings.leavesDownloadsHint())
                fact("list.bullet", Strings.leavesLists(), Strings.leavesListsHint())
            }
            if !model.providers.isEmpty {
                Section(Strings.whoSeesThem()) {
                    ForEach(model.providers) { provider in
                        let policy = provider.dataPolicy
                        fact("cloud", provider.name, "\(policy.regionTitle) · \(policy.summary)")
                    }
                }
            }
            Section(Strings.whatStays()) {
                fact("internaldrive", Strings.staysChats(), Strings.staysChatsHint())
                fact("key", Strings.staysKeys(), Strings.staysKeysHint())
                fact("chart.bar.xaxis", Strings.staysUsage(), Strings.staysUsageHint())
            }
        }
        .navigationTitle(Strings.privacyPage())
        .navigationBarTitleDisplayMode(.inline)
        .task { await model.load() }
    }

    private var whenWordsLeave: String {
        model.preferences.privacy == .open ? Strings.leavesWhenAllowed() : Strings.leavesWhenAsked()
    }

    private func fact(_ symbol: String, _ title: String, _ detail: String) -> some View {
        Label {
            VStack(alignment: .leading, spacing: 2) {
                Text(title)
                Text(detail).font(.footnote).foregroundStyle(.secondary)
            }
        } icon: {
            Image(systemName: symbol)
        }
        .accessibilityElement(children: .combine)
    }
}

#if !os(Linux)
    #Preview { NavigationStack { PrivacyScreen(model: SettingsModel(brain: DemoBrain())) } }
#endif

import Testing

@testable import NearsideSample

@MainActor @Suite(.timeLimit(.minutes(1)))
struct SettingsModelTests {
    private func settings(_ brain: any Brain = quick()) async -> SettingsModel {
        let model = SettingsModel(brain: brain)
        await model.load()
        return model
    }

    @Test func modeAndPrivacyAreKept() async {
        let brain = quick()
        let model = await settings(brain)
        await model.setMode(.onlyOnDevice)
        await model.setPrivacy(.secret)
        let again = await settings(brain)
        #expect(again.preferences.mode == .onlyOnDevice)
        #expect(again.preferences.privacy == .secret)
        #expect(again.preferences.finishedFirstRun, "the rest is left as it was")
    }

    @Test func thePrivacyPageKnowsWhetherAnythingCanLeave() async {
        let model = await settings()
        #expect(model.canLeave)
        await model.setMode(.onlyOnDevice)
        #expect(!model.canLeave)
        await model.setMode(.preferOnDevice)
        await model.setPrivacy(.secret)
        #expect(!model.canLeave)
        await model.setPrivacy(.personal)
        await model.removeProvider("openrouter")
        #expect(!model.canLeave, "there is nowhere to go")
    }

    @Test func regionsAreReadHoweverTheyAreTyped() async {
        let brain = quick()
        let model = await settings(brain)
        await model.setRegions("eu, us;ch")
        #expect(await brain.policy().regions == ["EU", "US", "CH"])
        await model.setRegions("")
        #expect(await brain.policy().regions == [])
    }

    @Test func aPolicySettingChangesAlone() async {
        let brain = quick()
        let model = await settings(brain)
        let before = model.policy
        await model.setPolicy { $0.allowRetention = true }
        var expected = before
        expected.allowRetention = true
        #expect(await brain.policy() == expected)
    }

    @Test func aCapIsSetClearedAndUnchangedByInvalidText() async {
        let model = await settings()
        await model.setCap(\.dollarsPerRequest, "0,25")
        #expect(model.policy.dollarsPerRequest == 0.25)
        for wrong in ["much", "-1", "inf"] {
            await model.setCap(\.dollarsPerRequest, wrong)
            #expect(model.policy.dollarsPerRequest == 0.25, "\(wrong)")
        }
        await model.setCap(\.dollarsPerRequest, " ")
        #expect(model.policy.dollarsPerRequest == nil)
    }

    @Test func theTightestCapSaysHowMuchIsUsed() async {
        let model = await settings()
        #expect(abs((model.capUsed ?? 0) - 0.3104 / 5) < 0.0001)
        await model.setCap(\.dollarsPerDay, "0.0254")
        #expect(abs((model.capUsed ?? 0) - 0.5) < 0.0001)
        await model.setCap(\.dollarsPerDay, "0")
        #expect(model.capUsed == 1)
    }

    @Test func aProviderIsAddedAndRemovedAndItsKeyIsForgottenByTheForm() async {
        let model = await settings()
        model.new = NewProvider(kind: .groq, key: "a-secret")
        #expect(await model.addProvider())
        #expect(model.providers.map(\.name).contains("groq"))
        #expect(model.providers.first { $0.name == "groq" }?.hasKey == true)
        #expect(model.new == NewProvider())
        await model.removeProvider("groq")
        #expect(!model.providers.map(\.name).contains("groq"))
    }

    @Test func aServerNeedsAnAddress() async {
        let model = await settings()
        model.new = NewProvider(kind: .ollama)
        #expect(!model.canAdd)
        model.new.address = "not an address"
        #expect(!model.canAdd)
        model.new.address = "http://192.168.1.7:11434"
        #expect(model.canAdd)
        #expect(model.new.name == "192.168.1.7")
        model.new.address = " http://192.168.1.7:11434\n"
        #expect(model.canAdd, "a paste often has white space")
        #expect(model.new.name == "192.168.1.7")
    }

    @Test func aSignInOpensAPageAndEndsWithItsCode() async {
        let model = await settings()
        await model.removeProvider("openrouter")
        let page = await model.beginSignIn("openrouter")
        #expect(page?.host == "openrouter.ai")
        #expect(model.providers.first?.hasKey == false)
        model.code = " abc "
        await model.finishSignIn()
        #expect(model.signIn == nil)
        #expect(model.code.isEmpty)
        #expect(model.providers.first?.hasKey == true)
    }
}

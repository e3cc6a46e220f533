import Foundation
import Testing

@testable import NearsideSample

@MainActor @Suite(.timeLimit(.minutes(1)))
struct SettingsModelTests {
    private func settings(_ brain: any Brain = quick(), _ locale: String = "en_US") async -> SettingsModel {
        let model = SettingsModel(brain: brain, locale: Locale(identifier: locale))
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

    @Test func aSwitchChangesAtOnceAndShowsWhatIsStoredIfThatFails() async {
        let failure = BrainError("the disk is full", reason: .diskFull)
        let model = await settings(FailingBrain(.policy(failure)))
        model.allowsRetention = true
        #expect(model.allowsRetention, "it does not jump back while it is stored")
        await model.setPolicy { _ in }
        #expect(!model.allowsRetention)
        #expect(model.failure == failure)

        let brain = quick()
        let sound = await settings(brain)
        (sound.allowsRetention, sound.allowsTraining, sound.allowsMetered) = (true, true, false)
        await sound.setPolicy { _ in }
        let stored = await brain.policy()
        #expect(stored.allowRetention && stored.allowTraining && !stored.allowMetered)
    }

    @Test func aCapIsSetClearedAndUnchangedByInvalidText() async {
        let model = await settings()
        await model.setCap(.request, "0.25")
        #expect(model.policy.dollarsPerRequest == 0.25)
        for wrong in ["much", "-1", "inf", "0,25", "1.2.3", ".", "5x", "1,00", "1,0000", ",100", "1e3", "0x10"] {
            await model.setCap(.request, wrong)
            #expect(model.policy.dollarsPerRequest == 0.25, "\(wrong)")
            #expect(model.rejected?.cap == .request && model.rejected?.text == wrong)
            #expect(model.text(of: .request) == "0.25")
        }
        await model.setCap(.request, " ")
        #expect(model.policy.dollarsPerRequest == nil)
        #expect(model.rejected == nil)
    }

    @Test(arguments: ["en_US", "de_DE", "ru_RU", "en_IN", "hi_IN", "de_CH", "fr_FR", "pl_PL", "ar_EG", "es_ES"])
    func aCapThatIsShownIsReadAsTheSameAmount(_ locale: String) async {
        for amount in [0, 0.25, 0.000_5, 1, 12.5, 999.99, 1_000, 12_345, 1_234_567.5, 123_456_789] {
            let brain = quick()
            await brain.setPolicy(PolicySettings(dollarsPerMonth: amount))
            let model = await settings(brain, locale)
            let text = model.text(of: .month)
            await model.setCap(.month, text)
            #expect(model.policy.dollarsPerMonth == amount, "left unchanged: \(text)")
            await model.setCap(.month, " \(text) ")
            #expect(model.policy.dollarsPerMonth == amount, "typed: \(text)")
            #expect(model.rejected == nil, "\(text)")
        }
    }

    @Test func amountsAreReadAsTheirLocaleWritesThem() {
        func amount(_ text: String, _ locale: String) -> Double? { Amount.parse(text, Locale(identifier: locale)) }
        #expect(amount("1,000", "en_US") == 1_000)
        #expect(amount("1.000", "de_DE") == 1_000)
        #expect(amount("1.000,5", "de_DE") == 1_000.5)
        #expect(amount("0,25", "de_DE") == 0.25)
        #expect(amount("1\u{A0}000,5", "ru_RU") == 1_000.5)
        #expect(amount("1\u{202F}000", "ru_RU") == 1_000)
        #expect(amount("1 000", "fr_FR") == 1_000)
        #expect(amount("1'000", "de_CH") == 1_000)
        #expect(amount("12,34,567.8", "en_IN") == 1_234_567.8)
        #expect(amount("1234567", "en_IN") == 1_234_567)
        #expect(amount("٢٥", "ar_EG") == 25)
        #expect(amount("0.25", "de_DE") == nil, "no group has two digits at the end")
        #expect(amount("1 000", "en_US") == nil)
    }

    @Test func aCapThatIsRoundedInItsFieldStaysExactIfItIsLeftUnchanged() async {
        let brain = quick()
        await brain.setPolicy(PolicySettings(dollarsPerDay: 1.000_000_4))
        let model = await settings(brain)
        await model.setCap(.day, model.text(of: .day))
        #expect(await brain.policy().dollarsPerDay == 1.000_000_4)
    }

    @Test func theTightestCapSaysHowMuchIsUsed() async {
        let model = await settings()
        #expect(abs((model.capUsed ?? 0) - 0.3104 / 5) < 0.0001)
        await model.setCap(.day, "0.0254")
        #expect(abs((model.capUsed ?? 0) - 0.5) < 0.0001)
        await model.setCap(.day, "0")
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

// Tests with the real library and SmolLM2-135M from a local hub. Serialized: the machine is small.

import Foundation
import Testing

@testable import NearsideSample

@MainActor @Suite(.serialized, .timeLimit(.minutes(5)))
struct RealTests {
    @Test func fromTheFirstRunToAnAnswerThatIsStillThereAfterARestart() async throws {
        let hub = try Hub()
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("sample-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let app = AppModel(real: { try await NearsideBrain(directory: directory, hub: hub.url) })
        await app.start()
        #expect(!app.isDemo)

        // Choose by fit, download.
        let firstRun = try #require(app.firstRun)
        app.models.reference = Hub.model
        await firstRun.pickTyped()
        #expect(app.models.typed?.verdict == .fits, "\(app.models.failure?.text ?? "")")
        #expect(firstRun.picked?.sizeBytes == 98_362_432)
        firstRun.startDownload()
        await firstRun.work?.value
        #expect(firstRun.step == .chat, "\(app.models.downloads)")
        #expect(app.models.installed.map(\.sizeBytes) == [98_362_432])

        // A streamed answer.
        let chat = try #require(firstRun.chat)
        await chat.choose(.precise)
        chat.draft = "Say hello in one word."
        chat.send()
        await until { chat.answer?.text.isEmpty == false || chat.failure != nil }
        #expect(chat.failure == nil)
        #expect(chat.isAnswering, "it streams")
        // A small model may never stop; then this fails instead of waiting.
        await until { (chat.answer?.text.count ?? 0) > 1_000 || !chat.isAnswering }
        chat.stop()
        await chat.work?.value
        let first = try #require(chat.answer)
        #expect(first.status == .done)
        #expect(!first.text.isEmpty)
        let receipt = try #require(first.receipt)
        #expect(receipt.target.isDevice)
        #expect(receipt.cost == 0)
        #expect(receipt.preset == .precise)
        #expect(receipt.temperature == 0)
        #expect(receipt.dataPolicy.region == "device")
        #expect(receipt.tokensPerSecond > 0)
        await firstRun.finish()
        #expect(app.firstRun == nil)

        // Stop.
        let open = try #require(app.chat)
        await open.load()
        open.draft = "Tell me a very long story about a lighthouse keeper and the sea."
        open.send()
        await until { (open.messages.count == 4 && (open.answer?.text.count ?? 0) > 40) || !open.isAnswering }
        open.stop()
        await open.work?.value
        let stopped = try #require(open.answer)
        #expect(stopped.status == .stopped)
        #expect(stopped.text.count > 40)
        let stored = open.messages

        // Restart: a new object on the same folder.
        let again = AppModel(real: { try await NearsideBrain(directory: directory, hub: "http://127.0.0.1:1") })
        await again.start()
        #expect(again.firstRun == nil)
        #expect(again.chats.chats.map(\.messages) == [4])
        again.open(try #require(again.chats.chats.first?.id))
        let reopened = try #require(again.chat)
        await reopened.load()
        #expect(reopened.messages == stored)
        #expect(reopened.canContinue)
        reopened.resume()
        await until { (reopened.answer?.text.count ?? 0) > stopped.text.count || !reopened.isAnswering }
        reopened.stop()
        await reopened.work?.value
        #expect(reopened.answer?.text.hasPrefix(stopped.text) == true)
        #expect(try #require(reopened.answer?.text.count) > stopped.text.count)
    }

    @Test func theListIsSearchedRenamedPinnedDeletedRestoredAndExported() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("sample-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let brain = try await NearsideBrain(directory: directory)
        _ = try await brain.importModel(URL(fileURLWithPath: smollm2))
        let chat = ChatModel(brain: brain)
        await chat.load()
        await chat.choose(try #require(chat.choices.first))
        chat.draft = "Say something about whales."
        chat.send()
        await until { chat.answer?.text.isEmpty == false || !chat.isAnswering }
        chat.stop()
        await chat.work?.value
        let id = try #require(chat.chatID)

        let chats = ChatsModel(brain: brain)
        await chats.load()
        #expect(chats.chats.first?.title.contains("whales") == true)
        chats.query = "whale"
        await chats.search()
        #expect(chats.hits.first?.chat.id == id)
        #expect(chats.hits.first?.snippet.contains { $0.matched } == true)
        await chats.rename(id, to: "The sea")
        await chats.setPinned(id, true)
        #expect(chats.pinned.map(\.title) == ["The sea"])
        await chats.delete(id)
        #expect(chats.chats.isEmpty)
        await chats.undoDelete()
        #expect(chats.pinned.map(\.title) == ["The sea"])
        await chats.export(id, as: .markdown)
        #expect(chats.exported?.text.contains("whales") == true)
        await chats.closeExport()
        await chats.export(id, as: .json)
        let json = try #require(chats.exported)
        #expect(try JSONSerialization.jsonObject(with: Data(json.text.utf8)) is [String: Any])
        await chats.closeExport()
        #expect(chats.failure == nil)
    }

    @Test func settingsAreKeptOverARestartAndKeysAreOutOfSight() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("sample-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let settings = SettingsModel(brain: try await NearsideBrain(directory: directory))
        await settings.load()
        await settings.setMode(.preferInCloud)
        await settings.setRegions("eu, us")
        await settings.setCap(.day, 0.5.formatted())
        settings.new = NewProvider(kind: .compatible, address: "http://127.0.0.1:1/v1", key: "a-secret", model: "m")
        #expect(await settings.addProvider())
        #expect(settings.providers.map(\.name) == ["127.0.0.1"])
        #expect(settings.failure == nil)

        let again = SettingsModel(brain: try await NearsideBrain(directory: directory))
        await again.load()
        #expect(again.preferences.mode == .preferInCloud)
        #expect(again.policy.regions == ["EU", "US"])
        #expect(again.policy.dollarsPerDay == 0.5)
        #expect(again.providers.first?.hasKey == true)
        #expect(!"\(again.providers)".contains("a-secret"))
        await again.removeProvider("127.0.0.1")
        #expect(again.providers.isEmpty)
        let keys = directory.appendingPathComponent("keys").path
        #expect(try FileManager.default.contentsOfDirectory(atPath: keys).isEmpty)
    }

    @Test func aModelWithoutATemplateSaysSoAndIsRemovedOnceItIsDamaged() async throws {
        let files = FileManager.default
        let directory = files.temporaryDirectory.appendingPathComponent("sample-\(UUID().uuidString)")
        defer { try? files.removeItem(at: directory) }
        try files.createDirectory(at: directory, withIntermediateDirectories: true)
        var content = try Data(contentsOf: URL(fileURLWithPath: smollm2))
        let key = try #require(content.range(of: Data("tokenizer.chat_template".utf8)))
        content[key.upperBound - 1] = UInt8(ascii: "x")
        let file = directory.appendingPathComponent("no-template.gguf")
        try content.write(to: file)

        let brain = try await NearsideBrain(directory: directory)
        let models = ModelsModel(brain: brain)
        await models.importModel(file)
        let id = try #require(models.installed.first?.id)
        models.reference = id
        await models.checkTypedFit()
        let fit = try #require(models.typed, "\(models.failure?.text ?? "")")
        #expect(fit.note?.contains("chat template") == true)
        #expect(fit.reasons.count == 2 && Set(fit.reasons).count == 2)

        let store = directory.appendingPathComponent("nearside")
        let stored = try #require(files.enumerator(at: store, includingPropertiesForKeys: nil))
        for case let file as URL in stored where file.pathExtension == "gguf" { try files.removeItem(at: file) }
        await models.load()
        #expect(models.installed.isEmpty)
        #expect(models.damaged.map(\.id) == [id])
        #expect(models.damaged.first?.isImported == true)
        await models.remove(id)
        #expect(models.damaged.isEmpty)
        #expect(models.failure == nil)
        await brain.shutDown()
    }

    @Test func theCatalogueHasVerdictsOrSaysWhyNot() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("sample-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        // No hub listens at this address.
        let models = ModelsModel(brain: try await NearsideBrain(directory: directory, hub: "http://127.0.0.1:1"))
        await models.load()
        #expect(!models.catalogModels.isEmpty)
        await models.checkAllFits()
        #expect(models.unreachable?.reason?.isOfNetwork == true)
        #expect(models.guesses.count == models.catalogModels.count)
        models.reference = "hf:missing"
        await models.checkTypedFit()
        #expect(models.failure?.text.isEmpty == false)
    }
}

/// SmolLM2-135M-Instruct, Q4_1.
private let smollm2: String = {
    let environment = ProcessInfo.processInfo.environment
    let models = environment["NEARSIDE_MODELS"] ?? "\(environment["HOME"] ?? "")/.cache/nearside/models"
    let file = "\(models)/smollm2.gguf"
    precondition(FileManager.default.isReadableFile(atPath: file), "no model at \(file); `make models` fetches it")
    return file
}()

/// A local hub that serves SmolLM2 while this object lives.
private final class Hub {
    static let repository = "sample/SmolLM2-GGUF"
    static let model = "hf:\(repository)/smollm2.gguf"

    let url: String
    private let process = Process()
    private let input = Pipe()

    init() throws {
        let output = Pipe()
        let programs = ProcessInfo.processInfo.environment["NEARSIDE_PROGRAMS"] ?? ""
        process.executableURL = URL(fileURLWithPath: programs).appendingPathComponent("nearside-hub")
        process.arguments = ["--repo", Self.repository, "--file", smollm2]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), byte != Data("\n".utf8) { line += byte }
        let hello = try #require(try JSONSerialization.jsonObject(with: line) as? [String: Any])
        url = try #require(hello["url"] as? String)
    }

    deinit {
        // It serves until its standard input closes.
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

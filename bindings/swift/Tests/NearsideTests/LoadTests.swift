import NearsideKit
import Testing

extension Scenarios {
    /// Models loaded ahead of their first answer.
    @Suite struct LoadTests {
        private var model: ModelRef { .path(path: smollm2) }

        @Test func loadListAndUnload() async throws {
            let nearside = try Nearside(config: Config(directory: freshDirectory(), context: 2048))
            #expect(try nearside.loaded() == [])
            let events = try await nearside.load(model).all()

            let progress = events.compactMap(\.fraction)
            #expect(progress == progress.sorted())
            #expect(progress.first == 0)
            #expect(progress.last == 1)
            let loaded = try #require(events.last?.loaded)
            #expect(loaded.id == smollm2)
            #expect(loaded.context == 2048)
            #expect(loaded.memoryBytes + loaded.mappedBytes > smollm2Bytes / 2)
            let listed = try #require(try nearside.loaded().first)
            #expect(listed.id == loaded.id && listed.path == loaded.path && listed.threads == loaded.threads)
            #expect(listed.memoryBytes == loaded.memoryBytes && !listed.inUse)

            let answer = try await nearside.chat(greedy(.user("Name a river."), maxTokens: 4)).all()
            #expect(answer.done?.timings.loadMs == 0)
            let again = try await nearside.load(model).all()
            #expect(again.count == 1 && again.first?.loaded != nil)

            try await nearside.unload(model)
            #expect(try nearside.loaded() == [])
        }

        @Test func leavingALoadEndsIt() async throws {
            let nearside = try Nearside(config: Config(directory: freshDirectory()))
            for try await event in nearside.load(model) {
                #expect(event.fraction != nil)
                break
            }
            let stream = try nearside.startLoad(model: model)
            stream.cancel()
            #expect(try await stream.nextBatch().allSatisfy { $0.loaded == nil })
            try await nearside.unload()
            #expect(try nearside.loaded() == [])
        }
    }
}

extension LoadEvent {
    fileprivate var fraction: Double? {
        guard case .progress(let fraction) = self else { return nil }
        return fraction
    }

    fileprivate var loaded: LoadedModel? {
        guard case .loaded(let model) = self else { return nil }
        return model
    }
}

import NearsideTesting
import Testing

extension Scenarios {
    /// Routing between the device and providers, and consent.
    @Suite struct RouteTests {
        @Test func aProviderAnswersUntilTheDeviceCan() async throws {
            let provider = try Provider("compatible")
            let nearside = try await library(provider)
            #expect(try await nearside.chat(tides()).all().targets == [provider.target])

            let installed = try await nearside.import(path: smollm2)
            let here = try await nearside.chat(tides()).all()
            #expect(here.targets == [.local(model: installed.id)])
            #expect(here.done?.receipt.dataPolicy.region == "device")
            #expect(try await provider.chats().count == 1)
        }

        @Test func aModelThatIsTooLargeLeavesTheAnswerToAProvider() async throws {
            let provider = try Provider("compatible")
            let host = FakeDeviceHost(memoryAvailable: 50_000_000)
            let nearside = try await library(provider, host: host)
            let installed = try await nearside.import(path: smollm2)
            let receipt = try #require(try await nearside.chat(tides()).all().done).receipt

            #expect(receipt.target == provider.target)
            #expect(receipt.skipped.filter { $0.target == .local(model: installed.id) }.map(\.rule) == [.memory])
            #expect(try await provider.chats().count == 1)
        }

        @Test func theDeviceStepsInWhereAProviderFails() async throws {
            let provider = try Provider("compatible", #"refused={"status":503,"body":{"error":{"message":"busy"}}}"#)
            let nearside = try await library(provider)
            let here = RouteTarget.local(model: try await nearside.import(path: smollm2).id)
            let chunks = try await nearside.chat(tides(.preferInCloud)).all()

            #expect(chunks.targets == [provider.target, here])
            let receipt = try #require(chunks.done).receipt
            #expect(receipt.target == here)
            #expect(receipt.skipped.filter { $0.rule == .previousFailed }.map(\.target) == [provider.target])
            #expect(receipt.costUsd == 0)
        }

        @Test func aPolicyRefusesAndSaysWhatHelps() async throws {
            let provider = try Provider("deepseek")
            let nearside = try await library(provider, policy: openPolicy.with { $0.regions = ["EU"] })
            let refused = await failure { _ = try await nearside.chat(tides()).all() }
            #expect(refused.kind == .blocked)
            #expect(refused.text.contains("deepseek") && refused.text.contains("policy"), "\(refused.text)")

            guard case .noRoute(let rule, let kind, let reason, _, let skipped, _) = try await nearside.route(tides())
            else {
                Issue.record("a target would answer")
                return
            }
            #expect(kind == .blocked)
            #expect(reason == .policyForbids)
            #expect(rule == .policy)
            #expect(skipped.contains { $0.target == provider.target })
            #expect(try await provider.chats() == [])
        }

        @Test func thePersonIsAskedAndTheirYesGoes() async throws {
            let provider = try Provider("fireworks")
            let nearside = try await library(provider, policy: openPolicy.with { $0.consent = .ask })
            let unasked = await failure { _ = try await nearside.chat(tides()).all() }
            #expect(unasked.kind == .blocked)
            #expect(unasked.reason == .consentRequired)

            guard case .needsConsent(let question) = try await nearside.route(tides()) else {
                Issue.record("no consent is requested")
                return
            }
            #expect(question.target == provider.target)
            #expect(question.text.contains("fireworks"))
            #expect(try #require(question.costUsd) > 0)

            let agreed = tides().with { $0.consent = question.target }
            #expect(try await nearside.route(agreed) == .route(route: question.route))
            #expect(try await nearside.chat(agreed).all().targets == [question.target])
            #expect(try await provider.chats().count == 1)
        }

        @Test func whatIsPrivateReachesNobody() async throws {
            let provider = try Provider("compatible")
            let nearside = try await library(provider)
            for request in [
                tides(.onlyOnDevice), tides(.preferInCloud).with { $0.sensitivity = .sensitive },
                tides(.onlyInCloud).with { $0.sensitivity = .sensitive },
            ] {
                guard case .noRoute = try await nearside.route(request) else {
                    Issue.record("a target would answer")
                    return
                }
                #expect(await failure { _ = try await nearside.chat(request).all() }.kind != nil)
            }
            let sensitive = tides().with { $0.sensitivity = .sensitive }
            let chunks = nearside.continueRemotely(sensitive, said: "The moon")
            #expect(await failure { _ = try await chunks.all() }.kind != nil)
            #expect(try await provider.requests().isEmpty, "not even a model list was requested")
        }

        @Test func aHostTellsWhatOnlyTheAppKnows() async throws {
            let provider = try Provider("deepseek")
            let host = FakeDeviceHost()
            let nearside = try await library(
                provider, policy: openPolicy.with { $0.allowMetered = false }, host: host)
            guard case .route = try await nearside.route(tides()) else {
                Issue.record("no target would answer")
                return
            }
            for (network, expected) in [(Connectivity.offline, ErrorKind.network), (.metered, .blocked)] {
                host.simulateNetwork(network)
                guard case .noRoute(.reachability, expected, _, _, _, _) = try await nearside.route(tides()) else {
                    Issue.record("\(network) does not determine the route")
                    return
                }
            }
        }

        @Test func aPolicyIsKeptAndTheFirstOneIsStrict() async throws {
            let config = Config(directory: freshDirectory())
            let changed = openPolicy.with {
                $0.maxUsdDay = 0.5
                $0.never = ["deepseek"]
            }
            let first = try Nearside(config: config)
            #expect(try first.policy() == RoutingPolicy(version: "default-1", consent: .ask))
            try await first.setPolicy(policy: changed)

            #expect(try Nearside(config: config).policy() == changed)
        }
    }
}

import NearsideKit
import Testing

extension Scenarios {
    /// Estimated cost, actual cost, and cost limits.
    @Suite struct CostTests {
        @Test func aReceiptTellsWhoRanItWhereAndForHowMuch() async throws {
            let provider = try Provider("openrouter", #"served_by={"provider":"DeepInfra","text":"Twice a day."}"#)
            let nearside = try await library(provider)
            let chunks = try await nearside.chat(tides().with { $0.purpose = "homework" }).all()
            let receipt = try #require(chunks.done).receipt

            #expect(chunks.text == "Twice a day.")
            #expect(receipt.target == provider.target)
            #expect(receipt.servedBy == "DeepInfra")
            #expect(receipt.policy == "scenario-1")
            #expect(receipt.rule == chunks.compactMap(\.route).last?.rule)
            #expect(receipt.costUsd > 0 && receipt.costSource == .provider)
            #expect(receipt.dataPolicy.region != "" && receipt.dataPolicy.asOf != "")

            let row = try #require(try await nearside.spending(by: .purpose).first)
            #expect(row.key == "homework" && row.requests == 1)
            #expect(abs(row.usd - receipt.costUsd) < 1e-9)
            #expect(abs(try await nearside.spent().day - receipt.costUsd) < 1e-9)
        }

        @Test func whatItCostsHereAndElsewhereIsToldCheapestFirst() async throws {
            let provider = try Provider("openrouter")
            let nearside = try await library(provider)
            let here = RouteTarget.local(model: try await nearside.import(path: smollm2).id)
            let rows = try await nearside.cost(tides())

            #expect(rows.first?.target == here)
            #expect(rows.first?.usdTotal == 0)
            let totals = rows.compactMap(\.usdTotal)
            #expect(totals == totals.sorted())
            #expect(totals.count > 4 && totals.last ?? 0 > 0, "\(totals)")
            #expect(rows.first { $0.target == provider.target }?.setUp == true)
            #expect(rows.allSatisfy { $0.usdTotal == nil || $0.target == here || $0.asOf != "" })
            #expect(try await provider.requests().isEmpty, "a comparison sends no request")
        }

        @Test func aCapRefusesBeforeAnythingIsSent() async throws {
            let provider = try Provider("deepseek")
            let nearside = try await library(provider, policy: openPolicy.with { $0.maxUsdRequest = 1e-7 })
            let overLimit = await failure { _ = try await nearside.chat(tides()).all() }
            #expect(overLimit.kind == .blocked)
            #expect(overLimit.text.contains("cap"))
            #expect(try await nearside.spent() == SpendingTotals(day: 0, month: 0))

            try await nearside.setPolicy(policy: openPolicy)
            let limited = tides().with { $0.limits.maxUsd = 1e-7 }
            #expect(await failure { _ = try await nearside.chat(limited).all() }.kind == .blocked)
            #expect(try await provider.chats() == [])
        }
    }
}

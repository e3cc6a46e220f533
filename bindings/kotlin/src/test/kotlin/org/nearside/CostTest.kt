package org.nearside

import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.toList

/** Cost estimates, recorded costs and cost caps. */
class CostTest {
    @Test
    fun aReceiptTellsWhoRanItWhereAndForHowMuch() = scenario {
        val provider = Provider("openrouter", """served_by={"provider":"DeepInfra","text":"Twice a day."}""")
        nearside(provider).use { nearside ->
            val chunks = nearside.chat(tides().copy(purpose = "homework")).toList()
            val receipt = chunks.done().receipt

            assertEquals("Twice a day.", chunks.text())
            assertEquals(provider.target, receipt.target)
            assertEquals("DeepInfra", receipt.servedBy)
            assertEquals("scenario-1", receipt.policy)
            assertEquals(assertNotNull(chunks.route()).rule, receipt.rule)
            assertTrue(receipt.costUsd > 0 && receipt.costSource == CostSource.PROVIDER, "$receipt")
            assertTrue(receipt.dataPolicy.region.isNotEmpty() && receipt.dataPolicy.asOf.isNotEmpty(), "$receipt")

            val row = nearside.spending(SpendingGroup.PURPOSE).single()
            assertEquals("homework" to 1uL, row.key to row.requests)
            assertEquals(receipt.costUsd, row.usd, 1e-9)
            assertEquals(receipt.costUsd, nearside.spent().day, 1e-9)
        }
    }

    @Test
    fun whatItCostsHereAndElsewhereIsToldCheapestFirst() = scenario {
        val provider = Provider("openrouter")
        nearside(provider).use { nearside ->
            val installed = nearside.import(smollm2)
            val rows = nearside.cost(tides())

            assertEquals(RouteTarget.Local(installed.id), rows.first().target)
            assertEquals(0.0, rows.first().usdTotal)
            val totals = rows.mapNotNull { it.usdTotal }
            assertEquals(totals.sorted(), totals)
            assertTrue(totals.size > 4 && totals.last() > 0, "$totals")
            assertTrue(rows.single { it.target == provider.target }.setUp)
            assertTrue(rows.none { it.usdTotal != null && it.target is RouteTarget.Remote && it.asOf.isEmpty() })
        }
        assertEquals(emptyList(), provider.requests(), "a comparison sends no request")
    }

    @Test
    fun aCapRefusesBeforeAnythingIsSent() = scenario {
        val provider = Provider("deepseek")
        nearside(provider, policy = openPolicy.copy(maxUsdRequest = 1e-7)).use { nearside ->
            val tooDear = assertFailsWith<NearsideException.Blocked> { nearside.chat(tides()).toList() }
            assertContains(tooDear.message.orEmpty(), "cap")
            assertEquals(SpendingTotals(day = 0.0, month = 0.0), nearside.spent())

            nearside.setPolicy(openPolicy)
            val limited = tides().copy(limits = RequestLimits(maxTokens = 8u, maxUsd = 1e-7))
            assertFailsWith<NearsideException.Blocked> { nearside.chat(limited).toList() }
        }
        assertEquals(emptyList(), provider.chats())
    }
}

/** Returns the route of the last `Started`. */
private fun Iterable<Chunk>.route(): Route? = filterIsInstance<Chunk.Started>().lastOrNull()?.route

package org.nearside

import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.toList

/** Routing between the device and providers, and consent. */
class RouteTest {
    @Test
    fun aProviderAnswersUntilTheDeviceCan() = scenario {
        val provider = Provider("compatible")
        nearside(provider).use { nearside ->
            assertEquals(listOf(provider.target), nearside.chat(tides()).toList().targets())

            val installed = nearside.import(smollm2)
            val here = nearside.chat(tides()).toList()
            assertEquals(listOf<RouteTarget>(RouteTarget.Local(installed.id)), here.targets())
            assertEquals("device", here.done().receipt.dataPolicy.region)
        }
        assertEquals(1, provider.chats().size)
    }

    @Test
    fun aModelThatIsTooLargeLeavesTheAnswerToAProvider() = scenario {
        val provider = Provider("compatible")
        val host = Anywhere().apply { facts = facts.copy(memoryAvailable = 50_000_000uL) }
        nearside(provider, host = host).use { nearside ->
            val installed = nearside.import(smollm2)
            val receipt = nearside.chat(tides()).toList().done().receipt

            assertEquals(provider.target, receipt.target)
            assertEquals(RouteRule.MEMORY, receipt.skipped.single { it.target == RouteTarget.Local(installed.id) }.rule)
        }
        assertEquals(1, provider.chats().size)
    }

    @Test
    fun theDeviceStepsInWhereAProviderFails() = scenario {
        val provider = Provider("compatible", """refused={"status":503,"body":{"error":{"message":"busy"}}}""")
        nearside(provider).use { nearside ->
            val installed = nearside.import(smollm2)
            val chunks = nearside.chat(tides(RoutingMode.PREFER_IN_CLOUD)).toList()

            assertEquals(listOf(provider.target, RouteTarget.Local(installed.id)), chunks.targets())
            val receipt = chunks.done().receipt
            assertEquals(RouteTarget.Local(installed.id), receipt.target)
            assertEquals(provider.target, receipt.skipped.single { it.rule == RouteRule.PREVIOUS_FAILED }.target)
            assertEquals(0.0, receipt.costUsd)
        }
    }

    @Test
    fun aPolicyRefusesAndSaysWhatHelps() = scenario {
        val provider = Provider("deepseek")
        nearside(provider, policy = openPolicy.copy(regions = listOf("EU"))).use { nearside ->
            val refused = assertFailsWith<NearsideException.Blocked> { nearside.chat(tides()).toList() }
            assertContains(refused.message.orEmpty(), "deepseek")
            assertContains(refused.message.orEmpty(), "policy")

            val refusal = assertIs<RouteDecision.NoRoute>(nearside.route(tides()))
            assertEquals(ErrorKind.BLOCKED to ErrorReason.POLICY_FORBIDS, refusal.kind to refusal.reason)
            assertEquals(RouteRule.POLICY, refusal.rule)
            assertTrue(refusal.skipped.any { it.target == provider.target })
        }
        assertEquals(emptyList(), provider.chats())
    }

    @Test
    fun thePersonIsAskedAndTheirYesGoes() = scenario {
        val provider = Provider("fireworks")
        nearside(provider, policy = openPolicy.copy(consent = ConsentPolicy.ASK)).use { nearside ->
            val unasked = assertFailsWith<NearsideException.Blocked> { nearside.chat(tides()).toList() }
            assertEquals(ErrorReason.CONSENT_REQUIRED, unasked.reason)

            val question = assertIs<RouteDecision.NeedsConsent>(nearside.route(tides())).question
            assertEquals(provider.target, question.target)
            assertContains(question.text, "fireworks")
            assertTrue(assertNotNull(question.costUsd) > 0)

            val agreed = tides().copy(consent = question.target)
            assertEquals(question.route, assertIs<RouteDecision.Route>(nearside.route(agreed)).route)
            assertEquals(listOf(question.target), nearside.chat(agreed).toList().targets())
        }
        assertEquals(1, provider.chats().size)
    }

    @Test
    fun whatIsPrivateReachesNobody() = scenario {
        val provider = Provider("compatible")
        nearside(provider).use { nearside ->
            for (private in listOf(
                tides(RoutingMode.ONLY_ON_DEVICE),
                tides(RoutingMode.PREFER_IN_CLOUD).copy(sensitivity = Sensitivity.SENSITIVE),
                tides(RoutingMode.ONLY_IN_CLOUD).copy(sensitivity = Sensitivity.SENSITIVE),
            )) {
                assertIs<RouteDecision.NoRoute>(nearside.route(private))
                assertFailsWith<NearsideException> { nearside.chat(private).toList() }
            }
            val sensitive = tides().copy(sensitivity = Sensitivity.SENSITIVE)
            assertFailsWith<NearsideException> { nearside.continueRemotely(sensitive, "The moon").toList() }
        }
        assertEquals(emptyList(), provider.requests(), "not even a list of models was asked for")
    }

    @Test
    fun aHostTellsWhatOnlyTheAppKnows() = scenario {
        val provider = Provider("deepseek")
        val host = Anywhere()
        nearside(provider, policy = openPolicy.copy(allowMetered = false), host = host).use { nearside ->
            assertIs<RouteDecision.Route>(nearside.route(tides()))

            host.facts = host.facts.copy(network = Connectivity.OFFLINE)
            val offline = assertIs<RouteDecision.NoRoute>(nearside.route(tides()))
            assertEquals(ErrorKind.NETWORK to RouteRule.REACHABILITY, offline.kind to offline.rule)

            host.facts = host.facts.copy(network = Connectivity.METERED)
            assertEquals(ErrorKind.BLOCKED, assertIs<RouteDecision.NoRoute>(nearside.route(tides())).kind)
        }
    }

    @Test
    fun aPolicyIsKeptAndTheFirstOneIsStrict() = scenario {
        val config = Config(freshDirectory())
        Nearside(config).use { nearside ->
            assertEquals(RoutingPolicy(version = "default-1", consent = ConsentPolicy.ASK), nearside.policy())
            nearside.setPolicy(openPolicy.copy(maxUsdDay = 0.5, never = listOf("deepseek")))
        }
        Nearside(config).use { nearside ->
            assertEquals(openPolicy.copy(maxUsdDay = 0.5, never = listOf("deepseek")), nearside.policy())
        }
    }
}

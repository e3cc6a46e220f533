package org.nearside

import kotlin.concurrent.thread
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.toList
import org.nearside.testing.FakeDeviceHost
import org.nearside.testing.RecordedExchange
import org.nearside.testing.RecordedProvider

/** The fake device of the testing module, with the real library. */
class FakeDeviceHostTest {
    private val host = FakeDeviceHost()

    @Test
    fun aLostNetworkAndMobileDataLeaveNoProviderOfTheInternet() = withLibrary { nearside ->
        nearside.setPolicy(openPolicy.copy(allowMetered = false))
        // Refused before any contact.
        nearside.addProvider(ProviderSettings("groq", ProviderKind.GROQ, model = "openai/gpt-oss-120b"))
        nearside.setKey("groq", Provider.KEY)

        host.simulateNetwork(Connectivity.OFFLINE)
        assertEquals(ErrorReason.OFFLINE, assertIs<RouteDecision.NoRoute>(nearside.route(tides())).reason)
        host.simulateNetwork(Connectivity.METERED)
        assertEquals(ErrorReason.POLICY_FORBIDS, assertIs<RouteDecision.NoRoute>(nearside.route(tides())).reason)
    }

    @Test
    fun heatPowerBatteryAndMemoryMoveAnAnswerToAProvider() = withLibrary { nearside ->
        val here = RouteTarget.Local(nearside.import(smollm2).id)
        RecordedProvider(RecordedExchange.models("recorded")).use { provider ->
            nearside.addProvider(provider.settings())
            nearside.setKey("recorded", Provider.KEY)
            nearside.providerModels("recorded")
            val changes = listOf<Pair<() -> Unit, () -> Unit>>(
                { host.simulateHeat(ThermalState.CRITICAL) } to { host.simulateHeat(ThermalState.NOMINAL) },
                { host.simulateLowPower(true) } to { host.simulateLowPower(false) },
                { host.simulateBattery(3u) } to { host.simulateBattery(null) },
                { host.simulateMemoryAvailable(50_000_000uL) } to { host.simulateMemoryAvailable(null) },
            )
            for ((begin, end) in changes) {
                assertEquals(here, nearside.target())
                begin()
                assertIs<RouteTarget.Remote>(nearside.target())
                end()
            }
            assertEquals(here, nearside.target())
        }
    }

    @Test
    fun aMemoryWarningFreesAnIdleModel() = withLibrary { nearside ->
        assertIs<LoadEvent.Loaded>(nearside.load(ModelRef.Path(smollm2)).toList().last())
        nearside.startAdjustments().use { adjustments ->
            host.simulateMemoryWarning(nearside)
            assertEquals(AdjustmentAction.Unloaded, adjustments.nextBatch().first().action)
        }
        assertTrue(host.facts().memoryPressure)
    }

    @Test
    fun factsThatThreadsSetAtOnceAreAllKept() {
        val changes = listOf<(Int) -> Unit>(
            { host.simulateBattery(it.toUInt()) },
            { host.simulateMemoryAvailable(it.toULong()) },
            { host.simulateLowPower(it % 2 == 0) },
            { host.simulateHeat(ThermalState.entries[it % ThermalState.entries.size]) },
        )
        changes.map { change -> thread { for (value in 1..ROUNDS) change(value) } }.forEach(Thread::join)
        val expected = DeviceFacts(
            memoryAvailable = ROUNDS.toULong(),
            network = Connectivity.UNMETERED,
            batteryPercent = ROUNDS.toUInt(),
            lowPower = true,
            heat = ThermalState.entries[ROUNDS % ThermalState.entries.size],
        )
        assertEquals(expected, host.facts())
    }

    private suspend fun Nearside.target(): RouteTarget = assertIs<RouteDecision.Route>(route(tides())).route.target

    private fun withLibrary(body: suspend (Nearside) -> Unit) = scenario {
        Nearside.open(Config(freshDirectory(), context = 512u), host).use { nearside ->
            nearside.setPolicy(openPolicy)
            body(nearside)
        }
    }

    private companion object {
        const val ROUNDS = 2_000
    }
}

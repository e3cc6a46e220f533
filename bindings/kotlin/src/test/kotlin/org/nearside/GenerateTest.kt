package org.nearside

import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.minutes
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable

/** Answers as values of the app's own type. */
class GenerateTest {
    @Test
    fun anAnswerIsAValueOfTheAppsOwnType() = scenario {
        val written = """{"name":"Tea","minutes":4,"steps":["Boil water.","Wait."],"kind":"hot drink","note":null}"""
        val recipe: Recipe = scripted(ReplyStep.Reasoning("Tea, then."), ReplyStep.Text(written)).use {
            it.generate(ChatRequest(listOf(ChatMessage.user("How do I make tea?"))))
        }
        assertEquals(Recipe("Tea", 4, listOf("Boil water.", "Wait."), Kind.HOT_DRINK, note = null), recipe)
    }

    @Test
    fun aRealModelKeepsToTheTypesShape() = scenario(2.minutes) {
        Nearside.open(freshDirectory()).use { nearside ->
            val question = "Tell me about the city of Paris: its name, its country, and whether it is a capital."
            val city: City = nearside.generate(greedy(ChatMessage.user(question), maxTokens = 200u))
            assertTrue(city.name.isNotBlank() && city.country.isNotBlank(), "$city")
        }
    }

    @Test
    fun anAnswerThatIsCutOffIsNoValue() = scenario(2.minutes) {
        Nearside.open(freshDirectory()).use { nearside ->
            val failure = assertFailsWith<GenerateException> {
                nearside.generate<Recipe>(greedy(ChatMessage.user("How do I make tea?"), maxTokens = 4u))
            }
            assertEquals(StopReason.MAX_TOKENS, failure.summary.stop)
            assertContains(failure.message.orEmpty(), "limit of tokens")
        }
    }

    @Test
    fun anAnswerOfAnotherShapeIsNoValueAndIsNotQuoted() = scenario {
        val request = ChatRequest(listOf(ChatMessage.user("Tea?")))
        for (written in listOf("""{"name":"canary"}""", "canary", """{"name":"canary","minutes":"canary"}""")) {
            val failure = assertFailsWith<GenerateException> {
                scripted(ReplyStep.Text(written)).use { it.generate<Recipe>(request) }
            }
            assertContains(failure.message.orEmpty(), "Recipe")
            assertFalse("canary" in failure.stackTraceToString())
        }
    }

    @Test
    fun aTypeThatNoModelCanBeHeldToIsRefusedBeforeAnythingIsAsked() = scenario {
        scripted(ReplyStep.Stall).use { nearside ->
            val refused = assertFailsWith<IllegalArgumentException> {
                nearside.generate<Menu>(ChatRequest(listOf(ChatMessage.user("What is there to eat?"))))
            }
            assertContains(refused.message.orEmpty(), "Menu.parts[]")
        }
    }
}

@Serializable
private data class Recipe(
    val name: String,
    val minutes: Int,
    val steps: List<String>,
    val kind: Kind,
    val note: String?,
)

@Serializable
private enum class Kind {
    @SerialName("hot drink")
    HOT_DRINK,
    DISH,
}

@Serializable
private data class City(val name: String, val country: String, val capital: Boolean)

@Serializable
private class Menu(val parts: List<Menu>)

/*
 * Star imports of the library and of platform packages, side by side. A clash of names does not compile.
 */
@file:Suppress("ktlint:standard:no-wildcard-imports", "DEPRECATION")

package org.nearside.names

import android.os.*
import java.security.*
import javax.management.relation.*
import javax.tools.*
import kotlin.test.Test
import kotlin.test.assertEquals
import org.nearside.*

/** An annotation of the app. A type `Target` of the library would take the place of Kotlin's. */
@Target(AnnotationTarget.FUNCTION)
internal annotation class Checked

/** The library's names beside those of Kotlin, Java and Android. */
class PlatformNamesTest {
    @Test
    @Checked
    fun aStarImportOfTheLibraryHidesNoNameOfThePlatform() {
        val platform = listOf(Message::class, Policy::class, Role::class, Tool::class).map { it.simpleName }
        assertEquals(listOf("Message", "Policy", "Role", "Tool"), platform)

        val tool = ToolDefinition(name = "clock", description = "Returns the time.", parameters = "{}")
        val target: RouteTarget = RouteTarget.Remote("groq", "openai/gpt-oss-120b")
        val request = ChatRequest(listOf(ChatMessage.user("Hello!")), tools = listOf(tool), consent = target)
        assertEquals(MessageRole.USER, request.messages.single().role)
        assertEquals("OFFLINE", Connectivity.OFFLINE.name)
    }
}

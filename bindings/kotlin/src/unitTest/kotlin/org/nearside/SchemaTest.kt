package org.nearside

import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlinx.serialization.Contextual
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json
import kotlinx.serialization.serializer

/** JSON Schemas of classes. */
class SchemaTest {
    @Test
    fun primitivesHaveTheTypesOfJson() {
        assertSchema<Primitives>(
            """{"type":"object","properties":{"text":{"type":"string"},"yes":{"type":"boolean"},"byte":{"type":"integer"},
            "int":{"type":"integer"},"long":{"type":"integer"},"count":{"type":"integer"},"float":{"type":"number"},
            "double":{"type":"number"}},
            "required":["text","yes","byte","int","long","count","float","double"],"additionalProperties":false}""",
        )
    }

    @Test
    fun classesListsMapsAndEnumsNest() {
        assertSchema<Dish>(
            """{"type":"object","properties":{"name":{"type":"string"},
            "ingredients":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},
            "amount":{"type":"number"},"unit":{"type":"string","enum":["GRAM","tea spoon"]}},
            "required":["name","amount","unit"],"additionalProperties":false}},
            "nutrition":{"type":"object","additionalProperties":{"type":"array","items":{"type":"integer"}}}},
            "required":["name","ingredients","nutrition"],"additionalProperties":false}""",
        )
    }

    @Test
    fun whatMayBeMissingIsNullAndADefaultIsFilledIn() {
        assertSchema<Optional>(
            """{"type":"object","properties":{"note":{"anyOf":[{"type":"string"},{"type":"null"}]},
            "unit":{"anyOf":[{"type":"string","enum":["GRAM","tea spoon"]},{"type":"null"}]},"servings":{"type":"integer"}},
            "required":["note","unit","servings"],"additionalProperties":false}""",
        )
    }

    @Test
    fun aNameIsTheSerialName() {
        assertSchema<Renamed>(
            """{"type":"object","properties":{"cook_time":{"type":"integer"}},"required":["cook_time"],
            "additionalProperties":false}""",
        )
    }

    @Test
    fun theSameClassTwiceIsNoRecursion() {
        assertContains(jsonSchema(serializer<Twins>().descriptor), "\"second\"")
    }

    @Test
    fun whatNoModelCanBeHeldToIsRefusedByItsPlace() {
        assertRefused<Tree>("`Tree.children[]` is a recursive `Tree`")
        assertRefused<Drawing>("`Drawing.shape` may be one of several classes")
        assertRefused<Letter>("`Letter.initial` is a `Char`")
        assertRefused<Numbered>("`Numbered.names` has keys that are not strings")
        assertRefused<Dated>("`Dated.day` has a contextual serializer")
        assertRefused<List<String>>("`ArrayList` is not a class")
        assertRefused<String>("`String` is not a class")
    }

    private inline fun <reified T> assertSchema(expected: String) =
        assertEquals(Json.parseToJsonElement(expected), Json.parseToJsonElement(jsonSchema(serializer<T>().descriptor)))

    private inline fun <reified T> assertRefused(message: String) {
        val refused = assertFailsWith<IllegalArgumentException> { jsonSchema(serializer<T>().descriptor) }
        assertContains(refused.message.orEmpty(), message)
    }
}

@Serializable
private class Primitives(
    val text: String,
    val yes: Boolean,
    val byte: Byte,
    val int: Int,
    val long: Long,
    val count: Count,
    val float: Float,
    val double: Double,
)

@JvmInline
@Serializable
private value class Count(val value: UInt)

@Serializable
private class Dish(val name: String, val ingredients: List<Ingredient>, val nutrition: Map<String, Set<Int>>)

@Serializable
private class Ingredient(val name: String, val amount: Double, val unit: Measure)

@Serializable
private enum class Measure {
    GRAM,

    @SerialName("tea spoon")
    TEA_SPOON,
}

@Serializable
private class Optional(val note: String?, val unit: Measure?, val servings: Int = 4)

@Serializable
private class Renamed(@SerialName("cook_time") val cookTime: Int)

@Serializable
private class Twins(val first: Renamed, val second: Renamed)

@Serializable
private class Tree(val children: List<Tree>)

@Serializable
private sealed interface Shape

@Serializable
private class Drawing(val shape: Shape)

@Serializable
private class Letter(val initial: Char)

@Serializable
private class Numbered(val names: Map<Int, String>)

@Serializable
private class Dated(@Contextual val day: java.time.LocalDate)

/*
 * The JSON Schema of a class, as far as a model can be held to it: what `generate` sends along with a request.
 *
 * It is the strictest form that all places take: every property is required, also one with a default, and no other is
 * allowed. What no grammar can promise (a choice of classes, a class within itself) is refused before anything is sent.
 */
@file:OptIn(ExperimentalSerializationApi::class)

package org.nearside

import kotlinx.serialization.ExperimentalSerializationApi
import kotlinx.serialization.descriptors.PolymorphicKind
import kotlinx.serialization.descriptors.PrimitiveKind
import kotlinx.serialization.descriptors.SerialDescriptor
import kotlinx.serialization.descriptors.SerialKind
import kotlinx.serialization.descriptors.StructureKind
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.addJsonObject
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import kotlinx.serialization.json.putJsonArray
import kotlinx.serialization.json.putJsonObject

/**
 * The JSON Schema of what this describes, as JSON.
 *
 * @throws IllegalArgumentException for what a model cannot be held to; it names the place and what helps
 */
internal fun jsonSchema(descriptor: SerialDescriptor): String {
    val name = shortName(descriptor)
    require(!descriptor.isNullable && descriptor.kind in setOf(StructureKind.CLASS, StructureKind.MAP)) {
        "`$name` is no class: put it into one, as a property"
    }
    return schema(descriptor, name, emptyList()).toString()
}

/** [inside] are the classes around this place, the outermost first; [place] is where it is, for a person to read. */
private fun schema(descriptor: SerialDescriptor, place: String, inside: List<String>): JsonObject = when {
    descriptor.isNullable -> nullable(plainSchema(descriptor, place, inside))
    else -> plainSchema(descriptor, place, inside)
}

private fun plainSchema(descriptor: SerialDescriptor, place: String, inside: List<String>): JsonObject {
    if (descriptor.isInline) return schema(descriptor.getElementDescriptor(0), place, inside)
    return when (descriptor.kind) {
        PrimitiveKind.STRING -> type("string")
        PrimitiveKind.BOOLEAN -> type("boolean")
        PrimitiveKind.BYTE, PrimitiveKind.SHORT, PrimitiveKind.INT, PrimitiveKind.LONG -> type("integer")
        PrimitiveKind.FLOAT, PrimitiveKind.DOUBLE -> type("number")
        SerialKind.ENUM -> enumeration(descriptor)
        StructureKind.CLASS, StructureKind.OBJECT -> properties(descriptor, place, inside)
        StructureKind.LIST ->
            type("array", "items" to schema(descriptor.getElementDescriptor(0), "$place[]", inside))
        StructureKind.MAP -> map(descriptor, place, inside)
        PrimitiveKind.CHAR -> refuse(place, "is a `Char`", "make it a `String`")
        is PolymorphicKind ->
            refuse(place, "may be one of several classes", "make it one class, with an enum that tells which")
        SerialKind.CONTEXTUAL ->
            refuse(place, "has a serializer that is looked up at run time", "name it with `@Serializable(with = …)`")
    }
}

private fun properties(descriptor: SerialDescriptor, place: String, inside: List<String>): JsonObject {
    val name = descriptor.serialName.removeSuffix("?")
    if (name in inside) refuse(place, "is a `${shortName(descriptor)}` within itself", "make a class for each level")
    return buildJsonObject {
        put("type", "object")
        putJsonObject("properties") {
            for (index in 0 until descriptor.elementsCount) {
                val property = descriptor.getElementName(index)
                put(property, schema(descriptor.getElementDescriptor(index), "$place.$property", inside + name))
            }
        }
        putJsonArray("required") {
            for (index in 0 until descriptor.elementsCount) add(JsonPrimitive(descriptor.getElementName(index)))
        }
        put("additionalProperties", false)
    }
}

private fun map(descriptor: SerialDescriptor, place: String, inside: List<String>): JsonObject {
    if (descriptor.getElementDescriptor(0).kind != PrimitiveKind.STRING) {
        refuse(place, "has keys that are no strings", "make it a `Map<String, …>`, or a list of pairs")
    }
    return type("object", "additionalProperties" to schema(descriptor.getElementDescriptor(1), "$place{}", inside))
}

private fun enumeration(descriptor: SerialDescriptor): JsonObject = buildJsonObject {
    put("type", "string")
    putJsonArray("enum") {
        for (index in 0 until descriptor.elementsCount) add(JsonPrimitive(descriptor.getElementName(index)))
    }
}

private fun nullable(schema: JsonObject): JsonObject = buildJsonObject {
    putJsonArray("anyOf") {
        add(schema)
        addJsonObject { put("type", "null") }
    }
}

private fun type(name: String, vararg more: Pair<String, JsonElement>): JsonObject =
    JsonObject(mapOf("type" to JsonPrimitive(name), *more))

private fun shortName(descriptor: SerialDescriptor): String =
    descriptor.serialName.removeSuffix("?").substringAfterLast('.')

private fun refuse(place: String, what: String, remedy: String): Nothing =
    throw IllegalArgumentException("no model can be held to this: `$place` $what; $remedy")

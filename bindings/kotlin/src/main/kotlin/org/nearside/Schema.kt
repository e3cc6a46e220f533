/*
 * The JSON Schema of a class, which `generate` adds to a request.
 *
 * The strictest form that all targets accept: every property is required, even one with a default, and no other is
 * allowed. Shapes that no grammar can enforce (a choice of classes, a recursive class) are rejected before sending.
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
 * Returns the JSON Schema of the described class, as JSON.
 *
 * @throws IllegalArgumentException for a shape that no schema can enforce; the message names the property and a remedy
 */
internal fun jsonSchema(descriptor: SerialDescriptor): String {
    val name = shortName(descriptor)
    require(!descriptor.isNullable && descriptor.kind in setOf(StructureKind.CLASS, StructureKind.MAP)) {
        "`$name` is not a class: wrap it in one, as a property"
    }
    return schema(descriptor, name, emptyList()).toString()
}

/** Returns the schema of the property at [path], which errors name. [enclosing]: the classes around it. */
private fun schema(descriptor: SerialDescriptor, path: String, enclosing: List<String>): JsonObject = when {
    descriptor.isNullable -> nullable(plainSchema(descriptor, path, enclosing))
    else -> plainSchema(descriptor, path, enclosing)
}

private fun plainSchema(descriptor: SerialDescriptor, path: String, enclosing: List<String>): JsonObject {
    if (descriptor.isInline) return schema(descriptor.getElementDescriptor(0), path, enclosing)
    return when (descriptor.kind) {
        PrimitiveKind.STRING -> type("string")
        PrimitiveKind.BOOLEAN -> type("boolean")
        PrimitiveKind.BYTE, PrimitiveKind.SHORT, PrimitiveKind.INT, PrimitiveKind.LONG -> type("integer")
        PrimitiveKind.FLOAT, PrimitiveKind.DOUBLE -> type("number")
        SerialKind.ENUM -> enumeration(descriptor)
        StructureKind.CLASS, StructureKind.OBJECT -> properties(descriptor, path, enclosing)
        StructureKind.LIST ->
            type("array", "items" to schema(descriptor.getElementDescriptor(0), "$path[]", enclosing))
        StructureKind.MAP -> map(descriptor, path, enclosing)
        PrimitiveKind.CHAR -> reject(path, "is a `Char`", "make it a `String`")
        is PolymorphicKind ->
            reject(path, "may be one of several classes", "use one class with an enum property that names the case")
        SerialKind.CONTEXTUAL ->
            reject(path, "has a contextual serializer", "name one with `@Serializable(with = …)`")
    }
}

private fun properties(descriptor: SerialDescriptor, path: String, enclosing: List<String>): JsonObject {
    val name = descriptor.serialName.removeSuffix("?")
    if (name in enclosing) reject(path, "is a recursive `${shortName(descriptor)}`", "declare a class for each level")
    return buildJsonObject {
        put("type", "object")
        putJsonObject("properties") {
            for (index in 0 until descriptor.elementsCount) {
                val property = descriptor.getElementName(index)
                put(property, schema(descriptor.getElementDescriptor(index), "$path.$property", enclosing + name))
            }
        }
        putJsonArray("required") {
            for (index in 0 until descriptor.elementsCount) add(JsonPrimitive(descriptor.getElementName(index)))
        }
        put("additionalProperties", false)
    }
}

private fun map(descriptor: SerialDescriptor, path: String, enclosing: List<String>): JsonObject {
    if (descriptor.getElementDescriptor(0).kind != PrimitiveKind.STRING) {
        reject(path, "has keys that are not strings", "make it a `Map<String, …>`, or a list of pairs")
    }
    return type("object", "additionalProperties" to schema(descriptor.getElementDescriptor(1), "$path{}", enclosing))
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

private fun reject(path: String, problem: String, remedy: String): Nothing =
    throw IllegalArgumentException("no schema can enforce this: `$path` $problem; $remedy")

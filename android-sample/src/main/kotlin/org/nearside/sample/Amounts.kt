/*
 * Reads amounts of money as people write them, in any language.
 */
package org.nearside.sample

import java.text.DecimalFormat
import java.text.NumberFormat
import java.util.Locale

/**
 * Parses a typed amount of US dollars with the separators of [locale], and with those of others where they cannot be misread.
 * Empty means no cap. Fails if it is no amount, or could be a thousand as well as one.
 */
fun parseAmount(text: String, locale: Locale): Result<Double?> {
    val typed = text.filterNot { it in INVISIBLE }.trim().uppercase()
    if (typed.isEmpty()) return Result.success(null)
    val amount = typed.removePrefix(
        "US",
    ).removePrefix("D").removePrefix("$").removeSuffix("USD").removeSuffix("$").trim()
    // `NumberFormat.parse` itself takes `1.25` for 125 in German, and ignores everything after the first letter.
    val symbols = (NumberFormat.getNumberInstance(locale) as? DecimalFormat)?.decimalFormatSymbols
    val kinds = amount.map { character ->
        val digit = Character.digit(character, 10)
        when {
            digit >= 0 -> '0' + digit
            character == symbols?.decimalSeparator || character == '٫' -> DECIMAL
            character.isWhitespace() || character in APOSTROPHES || character == '٬' -> SPACE
            character == symbols?.groupingSeparator -> GROUPING
            character == ',' || character == '.' -> FOREIGN
            else -> '?'
        }
    }.joinToString("")
    val dollars = digits(kinds)?.toDoubleOrNull()?.takeIf { it <= MAX_DOLLARS }
    return dollars?.let { Result.success(it) } ?: Result.failure(NumberFormatException(text))
}

/** Returns the digits with a `.`; `null` if the separators make no sense. */
private fun digits(kinds: String): String? {
    val last = kinds.indexOfLast { it !in '0'..'9' }
    val mark = kinds.getOrNull(last)
    val (whole, fraction) = kinds.take(maxOf(last, 0)) to kinds.drop(last + 1)
    return when {
        mark == null -> kinds
        mark == DECIMAL -> whole(whole)?.let { "$it.$fraction" }
        whole(kinds) != null -> whole(kinds).takeUnless { mark == FOREIGN && kinds.count { it == FOREIGN } == 1 }
        // A mark that groups nothing is the decimal one of another language.
        mark == FOREIGN || (mark == GROUPING && GROUPING !in whole) -> whole(whole)?.let { "$it.$fraction" }
        else -> null
    }?.takeIf { it.any(Char::isDigit) }
}

/** Returns the digits of a whole number in groups of one kind; `null` if the groups are none. */
private fun whole(kinds: String): String? {
    val digits = kinds.filter { it in '0'..'9' }
    val separators = kinds.filter { it !in '0'..'9' }.toSet()
    val isNumber =
        separators.isEmpty() || (separators.size == 1 && GROUPS.matches(kinds) && separators.first() in GROUPERS)
    return digits.takeIf { isNumber }
}

private const val DECIMAL = 'd'
private const val GROUPING = 'g'
private const val SPACE = 's'
private const val FOREIGN = 'f'
private const val GROUPERS = "gsf"

/** Groups of three; in India of two before the last one. A number in groups does not begin with a zero. */
private val GROUPS = Regex("[1-9]\\d{0,2}(\\D\\d{3})+|[1-9]\\d?(\\D\\d{2})+\\D\\d{3}")
private const val MAX_DOLLARS = 1e9
private const val INVISIBLE = "\u200B\u200E\u200F\u2060\u061C\u2066\u2067\u2069"
private const val APOSTROPHES = "'\u2019\u02BC"

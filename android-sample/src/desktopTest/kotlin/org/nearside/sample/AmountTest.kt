/*
 * Amounts as they are shown and typed in several languages.
 */
package org.nearside.sample

import java.text.NumberFormat
import java.util.Locale
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNull
import kotlin.test.assertTrue

class AmountTest {
    private fun amount(text: String, language: String) = parseAmount(text, Locale.forLanguageTag(language))

    private fun assertAmount(dollars: Double, text: String, vararg languages: String) {
        for (language in languages) assertEquals(dollars, amount(text, language).getOrNull(), "$text in $language")
    }

    private fun assertNone(text: String, vararg languages: String) {
        for (language in languages) assertTrue(amount(text, language).isFailure, "$text in $language")
    }

    @Test
    fun `an amount is read as it is shown in every language`() {
        for (language in LANGUAGES) {
            val locale = Locale.forLanguageTag(language)
            for (dollars in AMOUNTS) {
                val shown = NumberFormat.getNumberInstance(locale).run {
                    minimumFractionDigits = 2
                    maximumFractionDigits = 4
                    format(dollars)
                }
                assertEquals(dollars, parseAmount(shown, locale).getOrNull(), "$shown in $language")
            }
        }
    }

    @Test
    fun `the locale's separators decide`() {
        assertAmount(1_000.0, "1,000.00", "en", "en-IN", "hi")
        assertAmount(1_000.0, "1,000", "en")
        assertAmount(1_000.0, "1.000", "de", "es")
        assertAmount(1_000.0, "1.000,00", "de")
        assertAmount(1_000.0, "1\u00A0000,00", "ru", "fr")
        assertAmount(1_000.0, "1\u202F000,00", "ru", "fr")
        assertAmount(1_000.0, "1 000", "ru", "en")
        assertAmount(1_000.0, "1’000.00", "de-CH")
        assertAmount(150_000.0, "1,50,000.00", "en-IN", "hi", "en")
        assertAmount(1.0, "1.000", "en")
    }

    @Test
    fun `another language's decimal mark is understood where it groups nothing`() {
        assertAmount(0.5, " $0,50 ", "en", "de", "ru")
        assertAmount(1.25, "1,25", "en", "de", "ru")
        assertAmount(1.25, "1.25", "en", "de", "ru")
        assertAmount(0.5, "0,500", "en")
        assertAmount(1_000.5, "1.000,5", "ru")
        assertAmount(5.0, "US$ 5", "en")
        assertAmount(5.0, "5 USD", "ru")
        assertAmount(5.0, "٥", "ar")
    }

    @Test
    fun `what is no amount fails`() {
        assertNone("much", "en", "de", "ru")
        assertNone("-1", "en", "ru")
        assertNone("NaN", "en")
        assertNone("1e3", "en")
        assertNone("1,00,00", "en")
        assertNone("1.2.3", "en", "de")
        assertNone("1,000.00.00", "en")
        assertNone("10 00", "ru", "en")
        assertNone("$", "en")
        assertNone(".", "en", "de")
        // A thousand or one?
        assertNone("1.000", "ru")
        assertNone("9999999999999", "en")
    }

    @Test
    fun `nothing is no cap`() {
        for (text in listOf("", "  ", "\u00A0")) assertNull(amount(text, "en").getOrThrow())
    }

    private companion object {
        val AMOUNTS = listOf(0.0, 0.0005, 0.5, 1.0, 12.34, 999.99, 1_000.0, 1_234.5678, 100_000.0, 12_345_678.9)
        val LANGUAGES = "en de de-CH de-AT fr ru es it pt-BR pl sv hi en-IN ar-EG fa ja tr he".split(' ')
    }
}

/*
 * The theme: colours, type, spacing and shapes.
 *
 * Deep teal marks this device, slate blue remote targets, amber caution, on a light or dark background. Text on each
 * surface has a contrast of at least 4.5 : 1; StringsTest computes it.
 */
package org.nearside.sample

import androidx.compose.foundation.shape.RoundedCornerShape
import androidx.compose.material3.ColorScheme
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.Shapes
import androidx.compose.material3.Typography
import androidx.compose.material3.darkColorScheme
import androidx.compose.material3.lightColorScheme
import androidx.compose.runtime.Composable
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.text.TextStyle
import androidx.compose.ui.text.font.FontFamily
import androidx.compose.ui.text.font.FontWeight
import androidx.compose.ui.unit.dp
import androidx.compose.ui.unit.em
import androidx.compose.ui.unit.sp

/** Distances in steps of four. */
object Space {
    val tight = 4.dp
    val small = 8.dp
    val gap = 12.dp
    val edge = 20.dp
    val wide = 28.dp

    /** Smallest touch target. */
    val touch = 48.dp

    /** Maximum line width for reading. */
    val column = 720.dp

    /** Minimum width for two panes. */
    val twoPanes = 720.dp
    val listPane = 360.dp
}

@Composable
fun NearsideTheme(dark: Boolean, fonts: Fonts = Fonts(), content: @Composable () -> Unit) = MaterialTheme(
    colorScheme = if (dark) nightColors else dayColors,
    typography = typography(fonts.text),
    shapes = Shapes(
        extraSmall = RoundedCornerShape(8.dp),
        small = RoundedCornerShape(12.dp),
        medium = RoundedCornerShape(16.dp),
        large = RoundedCornerShape(22.dp),
        extraLarge = RoundedCornerShape(28.dp),
    ),
    content = content,
)

/** The system's fonts; a desktop may replace them. */
class Fonts(val text: FontFamily = FontFamily.Default)

// tertiary: remote. error: failure. secondaryContainer: selection. Caution has its own colours below.

val dayColors: ColorScheme = lightColorScheme(
    primary = Color(0xFF0B5A60),
    onPrimary = Color(0xFFFFFFFF),
    primaryContainer = Color(0xFFD3EBEA),
    onPrimaryContainer = Color(0xFF043B40),
    inversePrimary = Color(0xFF83D2D3),
    secondary = Color(0xFF4A5F60),
    onSecondary = Color(0xFFFFFFFF),
    secondaryContainer = Color(0xFFDDE9E7),
    onSecondaryContainer = Color(0xFF0B3437),
    tertiary = Color(0xFF3A4F8F),
    onTertiary = Color(0xFFFFFFFF),
    tertiaryContainer = Color(0xFFE0E6F8),
    onTertiaryContainer = Color(0xFF1B2C63),
    background = Color(0xFFFBFAF6),
    onBackground = Color(0xFF1A2021),
    surface = Color(0xFFFBFAF6),
    onSurface = Color(0xFF1A2021),
    surfaceVariant = Color(0xFFEBEAE3),
    onSurfaceVariant = Color(0xFF535C5C),
    surfaceTint = Color(0xFF0B5A60),
    inverseSurface = Color(0xFF2B3333),
    inverseOnSurface = Color(0xFFF2F3F0),
    error = Color(0xFFA5301F),
    onError = Color(0xFFFFFFFF),
    errorContainer = Color(0xFFFBE3DE),
    onErrorContainer = Color(0xFF7A1C10),
    outline = Color(0xFF7C8584),
    outlineVariant = Color(0xFFDCDBD3),
    scrim = Color(0xFF000000),
    surfaceBright = Color(0xFFFFFFFF),
    surfaceDim = Color(0xFFE4E3DC),
    surfaceContainerLowest = Color(0xFFFFFFFF),
    surfaceContainerLow = Color(0xFFF5F4EE),
    surfaceContainer = Color(0xFFF2F1EA),
    surfaceContainerHigh = Color(0xFFECEBE4),
    surfaceContainerHighest = Color(0xFFE6E5DD),
)

val nightColors: ColorScheme = darkColorScheme(
    primary = Color(0xFF83D2D3),
    onPrimary = Color(0xFF00363A),
    primaryContainer = Color(0xFF12464A),
    onPrimaryContainer = Color(0xFFC4EDEC),
    inversePrimary = Color(0xFF0B5A60),
    secondary = Color(0xFFB1C9C9),
    onSecondary = Color(0xFF1C3334),
    secondaryContainer = Color(0xFF243B3D),
    onSecondaryContainer = Color(0xFFD5E8E7),
    tertiary = Color(0xFFB4C3FA),
    onTertiary = Color(0xFF1B2C63),
    tertiaryContainer = Color(0xFF2A3868),
    onTertiaryContainer = Color(0xFFDDE3FC),
    background = Color(0xFF0F1415),
    onBackground = Color(0xFFE4E8E7),
    surface = Color(0xFF0F1415),
    onSurface = Color(0xFFE4E8E7),
    surfaceVariant = Color(0xFF262E2F),
    onSurfaceVariant = Color(0xFFA9B4B3),
    surfaceTint = Color(0xFF83D2D3),
    inverseSurface = Color(0xFFE1E5E4),
    inverseOnSurface = Color(0xFF20292A),
    error = Color(0xFFFFB4A6),
    onError = Color(0xFF5C1208),
    errorContainer = Color(0xFF4B1C15),
    onErrorContainer = Color(0xFFFFDAD3),
    outline = Color(0xFF879291),
    outlineVariant = Color(0xFF2E3738),
    scrim = Color(0xFF000000),
    surfaceBright = Color(0xFF303839),
    surfaceDim = Color(0xFF0F1415),
    surfaceContainerLowest = Color(0xFF0A0E0F),
    surfaceContainerLow = Color(0xFF151B1C),
    surfaceContainer = Color(0xFF1A2122),
    surfaceContainerHigh = Color(0xFF222A2B),
    surfaceContainerHighest = Color(0xFF2B3435),
)

/** A background and its text colour. */
class Tone(val container: Color, val content: Color)

private val dayCaution = Tone(Color(0xFFFBEBCF), Color(0xFF6B4400))
private val nightCaution = Tone(Color(0xFF42300F), Color(0xFFFBD48C))

/** Warnings: heat, memory, a tight fit. */
val ColorScheme.caution: Tone get() = if (this === nightColors ||
    background == nightColors.background
) {
    nightCaution
} else {
    dayCaution
}
val ColorScheme.onDevice: Tone get() = Tone(primaryContainer, onPrimaryContainer)
val ColorScheme.remote: Tone get() = Tone(tertiaryContainer, onTertiaryContainer)
val ColorScheme.failed: Tone get() = Tone(errorContainer, onErrorContainer)
val ColorScheme.plain: Tone get() = Tone(surfaceContainerHigh, onSurfaceVariant)

/** Sizes in steps of about 1.2 and line heights on a grid of four; body text has the most space. */
private fun typography(family: FontFamily): Typography {
    fun style(size: Int, line: Int, weight: FontWeight = FontWeight.Normal, spacing: Double = 0.0) = TextStyle(
        fontFamily = family,
        fontSize = size.sp,
        lineHeight = line.sp,
        fontWeight = weight,
        letterSpacing = spacing.em,
    )
    return Typography(
        displayLarge = style(44, 52, FontWeight.Bold, -0.02),
        displayMedium = style(38, 44, FontWeight.Bold, -0.02),
        displaySmall = style(32, 40, FontWeight.Bold, -0.015),
        headlineLarge = style(28, 36, FontWeight.Bold, -0.015),
        headlineMedium = style(24, 32, FontWeight.Bold, -0.01),
        headlineSmall = style(21, 28, FontWeight.Bold, -0.005),
        titleLarge = style(19, 26, FontWeight.Medium),
        titleMedium = style(16, 22, FontWeight.Medium),
        titleSmall = style(14, 20, FontWeight.Medium),
        bodyLarge = style(16, 25),
        bodyMedium = style(14, 21),
        bodySmall = style(13, 18),
        labelLarge = style(14, 20, FontWeight.Medium, 0.005),
        labelMedium = style(13, 18, FontWeight.Medium, 0.005),
        labelSmall = style(12, 16, FontWeight.Medium, 0.01),
    )
}

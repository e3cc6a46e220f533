/*
 * The app's symbols: lines of one width on a field of 24, tinted where they are used. The letters are those of SVG
 * paths.
 */
package org.nearside.sample

import androidx.compose.ui.graphics.Color
import androidx.compose.ui.graphics.SolidColor
import androidx.compose.ui.graphics.StrokeCap
import androidx.compose.ui.graphics.StrokeJoin
import androidx.compose.ui.graphics.vector.ImageVector
import androidx.compose.ui.graphics.vector.addPathNodes
import androidx.compose.ui.unit.dp

object Symbols {
    val Add = lines("M12 5V19M5 12H19")
    val Back = lines("M15 5L8 12L15 19", mirrors = true)
    val Chats =
        lines(
            "M5 5H19A2 2 0 0 1 21 7V15A2 2 0 0 1 19 17H11L6 21V17H5A2 2 0 0 1 3 15V7A2 2 0 0 1 5 5Z",
            "M8 9.5H16M8 12.7H13",
        )
    val Check = lines("M5 12.5L10 17.5L19 7")
    val Close = lines("M6 6L18 18M18 6L6 18")
    val Cloud = lines("M7 18.5A4.5 4.5 0 0 1 6.6 9.6A6 6 0 0 1 18 10.2A4.2 4.2 0 0 1 17.3 18.5Z")
    val Coins =
        lines(
            "M12 3A9 9 0 1 1 11.99 3Z",
            "M14.6 9.2C14.2 8.2 13.2 7.7 12 7.7C10.4 7.7 9.3 8.5 9.3 9.8C9.3 12.7 14.8 11.2 14.8 14.2C14.8 15.5 13.6 16.3 12 16.3C10.6 16.3 9.5 15.7 9.1 14.6",
            "M12 6.2V7.7M12 16.3V17.8",
        )
    val Copy =
        lines(
            "M10 8H18A2 2 0 0 1 20 10V18A2 2 0 0 1 18 20H10A2 2 0 0 1 8 18V10A2 2 0 0 1 10 8Z",
            "M16 8V6A2 2 0 0 0 14 4H6A2 2 0 0 0 4 6V14A2 2 0 0 0 6 16H8",
        )
    val Delete = lines("M4.5 7H19.5M9.5 7V4.5H14.5V7M6.5 7L7.4 19.5H16.6L17.5 7M10.3 10.5V16M13.7 10.5V16")
    val Device = lines("M8 3H16A2 2 0 0 1 18 5V19A2 2 0 0 1 16 21H8A2 2 0 0 1 6 19V5A2 2 0 0 1 8 3Z", "M11 18H13")
    val Down = lines("M6 9L12 15L18 9")
    val Download = lines("M12 4V15M7 10.5L12 15.5L17 10.5M5 19.5H19")
    val Edit = lines("M4.5 19.5L5.5 15L15.5 5L19 8.5L9 18.5ZM13.2 7.3L16.7 10.8")
    val Export = lines("M12 15V4M7.5 8L12 3.5L16.5 8M6 12V19.5H18V12")
    val File =
        lines(
            "M7 3.5H13.5L18.5 8.5V18.5A2 2 0 0 1 16.5 20.5H7A2 2 0 0 1 5 18.5V5.5A2 2 0 0 1 7 3.5Z",
            "M13.5 3.5V8.5H18.5",
        )
    val Globe = lines("M12 3A9 9 0 1 1 11.99 3Z", "M3.5 12H20.5M12 3C16.5 8 16.5 16 12 21C7.5 16 7.5 8 12 3")
    val Heat = lines("M10 14V5.5A2 2 0 0 1 14 5.5V14A4 4 0 1 1 10 14Z", "M12 9V17")
    val Key = lines("M8 11A4 4 0 1 1 7.99 11ZM11 12.5L19.5 4M16 7.5L19 10.5")
    val Lock =
        lines(
            "M7 11H17A1.5 1.5 0 0 1 18.5 12.5V18.5A1.5 1.5 0 0 1 17 20H7A1.5 1.5 0 0 1 5.5 18.5V12.5A1.5 1.5 0 0 1 7 11Z",
            "M8.5 11V8A3.5 3.5 0 0 1 15.5 8V11",
        )
    val Memory =
        lines(
            "M7 6.5H17A1 1 0 0 1 18 7.5V16.5A1 1 0 0 1 17 17.5H7A1 1 0 0 1 6 16.5V7.5A1 1 0 0 1 7 6.5Z",
            "M9 6.5V3.5M12 6.5V3.5M15 6.5V3.5M9 20.5V17.5M12 20.5V17.5M15 20.5V17.5M10 11H14V13.5H10Z",
        )
    val Models = lines("M12 3.5L20.5 8L12 12.5L3.5 8ZM4 12.2L12 16.5L20 12.2M4 16.2L12 20.5L20 16.2")
    val More =
        dots("M12 4.4A1.6 1.6 0 1 1 11.99 4.4ZM12 10.4A1.6 1.6 0 1 1 11.99 10.4ZM12 16.4A1.6 1.6 0 1 1 11.99 16.4Z")
    val Next = lines("M9 5L16 12L9 19", mirrors = true)
    val Options =
        lines("M4 7H11M17 7H20M4 17H7M13 17H20", "M14 4.5A2.5 2.5 0 1 1 13.99 4.5ZM10 14.5A2.5 2.5 0 1 1 9.99 14.5Z")
    val Pause = lines("M8.5 6V18M15.5 6V18")
    val Pin = lines("M9 4H15L14.3 10.2L17.5 13.5H6.5L9.7 10.2ZM12 13.5V20.5")
    val Play = lines("M8 5.5L18.5 12L8 18.5Z")
    val Regenerate = lines("M19.5 12A7.5 7.5 0 1 1 17 6.4L19.5 8.5M19.5 4V8.5H15")
    val Search = lines("M10.5 4A6.5 6.5 0 1 1 10.49 4ZM15.3 15.3L20.5 20.5")
    val Send = lines("M12 19V5M6 11L12 5L18 11")
    val Settings =
        lines(
            "M12 8.8A3.2 3.2 0 1 1 11.99 8.8Z",
            "M12 3V5.6M12 18.4V21M3 12H5.6M18.4 12H21M5.6 5.6L7.5 7.5M16.5 16.5L18.4 18.4M18.4 5.6L16.5 7.5M7.5 16.5L5.6 18.4",
        )
    val Shield = lines("M12 3.5L19 6V11.5C19 16 16 19 12 20.8C8 19 5 16 5 11.5V6Z", "M9 12L11.3 14.3L15.3 10")
    val Sparkle =
        lines(
            "M12 4C12.7 8.8 15.2 11.3 20 12C15.2 12.7 12.7 15.2 12 20C11.3 15.2 8.8 12.7 4 12C8.8 11.3 11.3 8.8 12 4Z",
        )
    val Stop =
        dots("M8 6.5H16A1.5 1.5 0 0 1 17.5 8V16A1.5 1.5 0 0 1 16 17.5H8A1.5 1.5 0 0 1 6.5 16V8A1.5 1.5 0 0 1 8 6.5Z")
    val Thought = lines("M12 3.5A6.2 6.2 0 0 1 15.3 15V17.5H8.7V15A6.2 6.2 0 0 1 12 3.5ZM9.7 20.5H14.3")
    val Warning = lines("M12 4L21 19.5H3ZM12 10V14M12 16.7V16.8")

    /** [mirrors]: it shows a direction of reading, and is mirrored where that goes from right to left. */
    private fun lines(vararg paths: String, mirrors: Boolean = false) = symbol(paths, isFilled = false, mirrors)

    private fun dots(vararg paths: String) = symbol(paths, isFilled = true, mirrors = false)

    private fun symbol(paths: Array<out String>, isFilled: Boolean, mirrors: Boolean): ImageVector {
        // The colour is replaced by the tint.
        val ink = SolidColor(Color.Black)
        val builder = ImageVector.Builder(
            defaultWidth = 24.dp,
            defaultHeight = 24.dp,
            viewportWidth = 24f,
            viewportHeight = 24f,
            autoMirror = mirrors,
        )
        for (path in paths) {
            builder.addPath(
                pathData = addPathNodes(path),
                fill = ink.takeIf { isFilled },
                stroke = ink.takeIf { !isFilled },
                strokeLineWidth = 1.7f,
                strokeLineCap = StrokeCap.Round,
                strokeLineJoin = StrokeJoin.Round,
            )
        }
        return builder.build()
    }
}

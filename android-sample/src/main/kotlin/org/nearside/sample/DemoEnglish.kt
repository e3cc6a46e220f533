/*
 * Content of the demo in English.
 */
package org.nearside.sample

internal fun englishDemo() = DemoContent(
    chats = listOf(
        DemoChat(
            "Tides, twice a day",
            DemoTurn(
                question = "Why do the tides come twice a day?",
                reasoning =
                "The moon pulls the near side more than the centre, and the centre more than the far side. " +
                    "So there are two bulges, and the Earth turns under both of them once a day.",
                text = """
                    |The moon pulls **unevenly**: the water facing it more than the Earth's centre, and the centre more than the water on the far side. That stretches the ocean into *two* bulges.
                    |
                    |- The Earth turns beneath both of them once a day.
                    |- So most coasts meet high water about every **12 hours and 25 minutes**.
                    |
                    |The extra 25 minutes are there because the moon moves on along its orbit.
                """.trimMargin(),
            ),
        ),
        DemoChat(
            "Deduplicate a list in Python",
            DemoTurn(
                question = "How do I remove duplicates from a list and keep the order?",
                text = """
                    |A dictionary remembers the order in which its keys came:
                    |
                    |```python
                    |def unique(items):
                    |    return list(dict.fromkeys(items))
                    |```
                    |
                    |It needs items that can be hashed. For others, compare them one by one:
                    |
                    || Items | Way | Time |
                    ||---|---|---|
                    || hashable | `dict.fromkeys` | O(n) |
                    || anything | a loop with `in` | O(n²) |
                """.trimMargin(),
            ),
        ),
        DemoChat(
            "Dinner from what is left",
            DemoTurn(
                question = "I have chickpeas, a lemon, half a pepper and rice. Dinner?",
                text = """
                    |### Lemon chickpeas on rice
                    |
                    |1. Put the rice on.
                    |2. Fry the pepper in strips until its edges brown.
                    |3. Add the chickpeas, salt, and a spoon of their water; **two minutes**.
                    |4. Take it off the heat and squeeze half the lemon over it.
                    |
                    |Twenty minutes, one pan and one pot.
                """.trimMargin(),
            ),
        ),
        DemoChat(
            "A kind way to say no",
            DemoTurn(
                question = "Help me decline an invitation without hurting anyone.",
                text = """
                    |> Thank you for thinking of me. I can't come this time, but I'd love to hear how it went. Coffee the week after?
                    |
                    |Short, warm, and it leaves a door open.
                """.trimMargin(),
            ),
        ),
    ),
    answers = listOf(
        DemoAnswer(
            keywords = listOf("tide", "moon"),
            reasoning = "The pull falls with distance, so the near and the far side differ. Two bulges, one rotation.",
            text =
            "Because the moon's pull makes **two** bulges of water, one towards it and one away. The Earth turns " +
                "under both once a day, so most coasts see two high waters.\n\nSpring tides come when sun and moon " +
                "line up; neap tides when they stand at right angles.",
        ),
        DemoAnswer(
            keywords = listOf("code", "kotlin", "python", "function"),
            text =
            "Here is one way:\n\n```kotlin\nfun <T> unique(items: List<T>): List<T> {\n    val seen = HashSet<T>()\n" +
                "    return items.filter { seen.add(it) }\n}\n```\n\n`add` says whether the item is new, " +
                "so the filter " +
                "keeps the first of each.",
        ),
    ),
    fallback = DemoAnswer(
        text =
        "This is the **demo**: no model is running, and nothing leaves your device. The answer you are reading was " +
            "written in advance, and it arrives word by word as a real one would.\n\nTo get real answers:\n\n" +
            "1. open *Models*,\n2. choose one that fits this device,\n3. download it once.\n\n" +
            "After that it works on a plane.",
    ),
    me = "Me",
    model = "Model",
    localReason = "the demo answers, on this device",
    consentReason = "you agreed to send it there",
    requestReason = "you chose a model that is not on this device",
    tooLong = "this is longer than a model on this device can read",
    staysHere = "your settings keep this on the device; change the mode in Settings",
    notAgreed = "you have not agreed to send this off the device",
    missingChat = "this chat no longer exists",
    unknownModel = "there is no model at this reference; check the spelling",
    notAModel = "this file is not a GGUF model",
    presetReason = "default values; the model's file sets none",
    suggestion = "a context of 2,048 tokens would need 310 MB less",
    noTemplate = "it has no chat template, so it cannot hold a conversation",
    verdicts = mapOf(
        FitLevel.Fits to "the whole model fits in memory",
        FitLevel.Tight to "it runs from the file: slower, even more so on a busy device",
        FitLevel.TooLarge to "it needs more memory than this device can give one app",
    ),
    notes = listOf(
        "Quick and small: short answers, rewriting, summaries",
        "A good all-rounder in many languages",
        "Reasons step by step",
        "Longer answers, better code",
        "Strongest reasoning, for large phones",
    ),
)

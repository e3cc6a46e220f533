// Content of the demo: chats, answers and models, in English and Russian.
//
// Models and prices are examples that resemble those of November 2026; the real ones come from the library.

import Foundation

struct DemoAnswer: Sendable {
    var keywords: [String] = []
    var reasoning = ""
    let text: String
}

struct DemoTurn: Sendable {
    let question: String
    var reasoning = ""
    let text: String
    var receipt = AnswerReceipt(
        target: .device(model: DemoContent.catalog[0].name), reason: "installed and fits", promptTokens: 96,
        answerTokens: 183, firstTokenSeconds: 0.28, tokensPerSecond: 31.6, preset: .balanced, temperature: 0.7,
        topP: 0.95)

    func answer(id: MessageID) -> MessageEntry {
        MessageEntry(
            id: id, author: .model, text: text, reasoning: reasoning, reasoningSeconds: reasoning.isEmpty ? 0 : 4.2,
            receipt: receipt)
    }
}

struct DemoChat: Sendable {
    let title: String
    let turns: [DemoTurn]
}

struct DemoContent: Sendable {
    let chats: [DemoChat]
    let answers: [DemoAnswer]
    let fallback: DemoAnswer
    let me: String
    let model: String
    let localReason: String
    let consentReason: String
    let requestReason: String
    let tooLong: String
    let staysHere: String
    let notAgreed: String
    let missingChat: String
    let unknownModel: String
    let notAModel: String
    let presetReason: String
    let suggestion: String
    let noTemplate: String
    let verdicts: [FitLevel: String]

    func answer(to question: String) -> DemoAnswer {
        let question = question.lowercased()
        return answers.first { $0.keywords.contains { question.contains($0) } } ?? fallback
    }

    /// Longest question in characters that the demo answers locally; a longer one needs consent.
    static let fits = 1_500
    /// Number of messages that the demo's context holds before the question.
    static let contextMessages = 6
    static let budget: UInt64 = 2_900_000_000
    static let remoteModel = "deepseek/deepseek-v3.2"
    static let remoteDataPolicy = DataPolicyInfo(region: "US", asOf: "2026-11-20")
    static let rejectedMore = [RejectedCount(rule: .policy, count: 3), RejectedCount(rule: .budget, count: 12)]
    static let citation = Citation(url: "https://oceanservice.noaa.gov", title: "NOAA: tides and currents")

    static let catalog = [
        ModelEntry(
            id: "smollm2-360m", reference: "hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF:Q8_0", name: "SmolLM2 360M",
            maker: "Hugging Face", sizeBytes: 386_404_992, quantization: "Q8_0", license: "Apache-2.0"),
        ModelEntry(
            id: "qwen2.5-1.5b", reference: "hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M", name: "Qwen2.5 1.5B",
            maker: "Alibaba", sizeBytes: 1_117_320_736, quantization: "Q4_K_M", license: "Apache-2.0"),
        ModelEntry(
            id: "deepseek-r1-1.5b", reference: "hf:unsloth/DeepSeek-R1-Distill-Qwen-1.5B-GGUF:Q4_K_M",
            name: "DeepSeek R1 Distill 1.5B", maker: "DeepSeek", sizeBytes: 1_117_320_576, quantization: "Q4_K_M",
            license: "MIT", reasons: true),
        ModelEntry(
            id: "qwen2.5-3b", reference: "hf:Qwen/Qwen2.5-3B-Instruct-GGUF:Q5_K_M", name: "Qwen2.5 3B",
            maker: "Alibaba", sizeBytes: 2_438_740_384, quantization: "Q5_K_M", license: "Qwen Research"),
        ModelEntry(
            id: "deepseek-r1-7b", reference: "hf:unsloth/DeepSeek-R1-Distill-Qwen-7B-GGUF:Q4_K_M",
            name: "DeepSeek R1 Distill 7B", maker: "DeepSeek", sizeBytes: 4_683_073_248, quantization: "Q4_K_M",
            license: "MIT", reasons: true),
    ]

    /// Prices per million tokens.
    static let offers: [(id: String, name: String, dollarsIn: Double, dollarsOut: Double)] = [
        (remoteModel, "DeepSeek V3.2", 0.27, 0.4), ("qwen/qwen3-32b", "Qwen3 32B", 0.1, 0.3),
        ("meta-llama/llama-3.3-70b-instruct", "Llama 3.3 70B", 0.13, 0.39),
        ("mistralai/mistral-small-3.2", "Mistral Small 3.2", 0.06, 0.18),
    ]

    static let costs = [
        CostLine(target: .device(model: "SmolLM2 360M"), isSetUp: true, dollars: 0, asOf: ""),
        CostLine(
            target: .provider(name: "openrouter", model: remoteModel), isSetUp: true, dollars: 0.0004,
            asOf: "2026-11-20"),
        CostLine(
            target: .provider(name: "groq", model: "llama-3.3-70b-versatile"), isSetUp: false, dollars: 0.0009,
            asOf: "2026-11-02"),
    ]

    static let english = DemoContent(
        chats: [
            DemoChat(
                title: "Tides, twice a day",
                turns: [
                    DemoTurn(
                        question: "Why do the tides come twice a day?",
                        reasoning:
                            "The moon pulls the near side more than the centre, and the centre more than the far side. So two bulges.",
                        text: """
                            The moon pulls **unevenly**: the water facing it more than the Earth's centre, and the centre more \
                            than the water on the far side. That stretches the ocean into *two* bulges.

                            - The Earth turns beneath both of them once a day.
                            - So most coasts meet high water about every **12 hours and 25 minutes**.

                            The extra 25 minutes are there because the moon moves on along its orbit.
                            """)
                ]),
            DemoChat(
                title: "Deduplicate a list in Python",
                turns: [
                    DemoTurn(
                        question: "How do I remove duplicates from a list and keep the order?",
                        text: """
                            A dictionary remembers the order in which its keys came:

                            ```python
                            def unique(items):
                                return list(dict.fromkeys(items))
                            ```

                            It needs items that can be hashed; for others, compare them one by one.
                            """)
                ]),
            DemoChat(
                title: "Dinner from what is left",
                turns: [
                    DemoTurn(
                        question: "I have chickpeas, a lemon, half a pepper and rice. Dinner?",
                        text: """
                            ### Lemon chickpeas on rice

                            1. Put the rice on.
                            2. Fry the pepper in strips until its edges brown.
                            3. Add the chickpeas, salt, and a spoon of their water; **two minutes**.
                            4. Take it off the heat and squeeze half the lemon over it.

                            Twenty minutes, one pan and one pot.
                            """)
                ]),
            DemoChat(
                title: "A kind way to say no",
                turns: [
                    DemoTurn(
                        question: "Help me decline an invitation without hurting anyone.",
                        text: """
                            > Thank you for thinking of me. I can't come this time, but I'd love to hear how it went. \
                            Coffee the week after?

                            Short, warm, and it leaves a door open.
                            """)
                ]),
        ],
        answers: [
            DemoAnswer(
                keywords: ["tide", "moon"],
                reasoning:
                    "The pull falls with distance, so the near and the far side differ. Two bulges, one rotation.",
                text:
                    "Because the moon's pull makes **two** bulges of water, one towards it and one away. The Earth turns "
                    + "under both once a day, so most coasts see two high waters.\n\nSpring tides come when sun and moon "
                    + "line up; neap tides when they stand at right angles."),
            DemoAnswer(
                keywords: ["code", "swift", "python", "function"],
                text: "Here is one way:\n\n```swift\nfunc unique<T: Hashable>(_ items: [T]) -> [T] {\n    var seen = "
                    + "Set<T>()\n    return items.filter { seen.insert($0).inserted }\n}\n```\n\n`insert` says whether the "
                    + "item is new, so the filter keeps the first of each."),
        ],
        fallback: DemoAnswer(
            text:
                "This is the **demo**: no model is running, and nothing leaves your device. The answer you are reading was "
                + "written in advance, and it arrives word by word as a real one would.\n\nTo get real answers:\n\n1. open "
                + "*Models*,\n2. choose one that fits this device,\n3. download it once.\n\nAfter that it works on a plane."
        ),
        me: "Me", model: "Model", localReason: "the demo answers, on this device",
        consentReason: "you agreed to send it there", requestReason: "you chose a model that is not on this device",
        tooLong: "this is longer than a model on this device can read",
        staysHere: "your settings keep this on the device; change the mode in Settings",
        notAgreed: "you have not agreed to send this off the device", missingChat: "this chat no longer exists",
        unknownModel: "there is no model at this reference; check the spelling",
        notAModel: "this file is not a GGUF model", presetReason: "default values; the model's file sets none",
        suggestion: "a context of 2,048 tokens would need 310 MB less",
        noTemplate: "it has no chat template, so it cannot hold a conversation",
        verdicts: [
            .fits: "the whole model fits in memory",
            .tight: "it runs from the file: slower, even more so on a busy device",
            .tooLarge: "it needs more memory than this device can give one app",
        ])

    static let russian = DemoContent(
        chats: [
            DemoChat(
                title: "Приливы дважды в день",
                turns: [
                    DemoTurn(
                        question: "Почему прилив бывает дважды в день?",
                        reasoning:
                            "Луна притягивает ближнюю сторону сильнее центра, а центр — сильнее дальней. Два горба.",
                        text: """
                            Луна притягивает **неравномерно**: воду под собой сильнее, чем центр Земли, а центр — сильнее, чем \
                            воду на обратной стороне. Океан вытягивается в *два* горба.

                            - Земля проворачивается под ними раз в сутки.
                            - Поэтому высокая вода приходит примерно каждые **12 часов 25 минут**.
                            """)
                ]),
            DemoChat(
                title: "Список без повторов",
                turns: [
                    DemoTurn(
                        question: "Как убрать повторы из списка и сохранить порядок?",
                        text: """
                            Словарь помнит порядок ключей:

                            ```python
                            def unique(items):
                                return list(dict.fromkeys(items))
                            ```
                            """)
                ]),
            DemoChat(
                title: "Ужин из того, что есть",
                turns: [
                    DemoTurn(
                        question: "Есть нут, лимон, половина перца и рис. Что приготовить?",
                        text: """
                            ### Нут с лимоном и рисом

                            1. Поставьте рис.
                            2. Обжарьте перец полосками до румяных краёв.
                            3. Добавьте нут, соль и ложку воды; **две минуты**.
                            4. Снимите с огня и выжмите половину лимона.
                            """)
                ]),
        ],
        answers: [
            DemoAnswer(
                keywords: ["прилив", "луна"], reasoning: "Притяжение слабеет с расстоянием: два горба, один оборот.",
                text:
                    "Притяжение Луны создаёт **два** горба воды: к ней и от неё. Земля проходит под обоими за сутки, поэтому "
                    + "прилив приходит дважды.")
        ],
        fallback: DemoAnswer(
            text:
                "Это **демо**: модель не запущена, и ничего не покидает устройство. Ответ написан заранее и приходит по "
                + "слову, как настоящий.\n\nЧтобы получать настоящие ответы:\n\n1. откройте «Модели»,\n2. выберите подходящую "
                + "этому устройству,\n3. скачайте её один раз.\n\nДальше она работает и в самолёте."),
        me: "Я", model: "Модель", localReason: "отвечает демо, на этом устройстве",
        consentReason: "вы разрешили отправить", requestReason: "вы выбрали модель, которой нет на устройстве",
        tooLong: "это длиннее, чем может прочесть модель на устройстве",
        staysHere: "по настройкам это остаётся на устройстве; режим можно изменить в настройках",
        notAgreed: "вы не разрешали отправлять это с устройства", missingChat: "этого чата больше нет",
        unknownModel: "по этой ссылке нет модели; проверьте написание", notAModel: "это не файл модели GGUF",
        presetReason: "значения по умолчанию; в файле модели своих нет",
        suggestion: "контекст в 2048 токенов займёт на 310 МБ меньше",
        noTemplate: "в ней нет шаблона чата, поэтому она не может вести беседу",
        verdicts: [
            .fits: "помещается в память целиком",
            .tight: "работает прямо из файла: медленнее, а на занятом устройстве ещё медленнее",
            .tooLarge: "нужно больше памяти, чем устройство может дать одному приложению",
        ])
}

//! What an answer on this device tells of its KV cache, and what the cache leaves as it was: greedy answers.

use nearside::chat::{AnswerSummary, CacheMiss, ChatMessage, ChatRequest, ToolDefinition};
use nearside_tests::phone::Answer;
use nearside_tests::request::greedy;
use nearside_tests::scratch::ScratchLibrary;
use nearside_tests::{models, tiny_models};

async fn answer_of(library: &ScratchLibrary, request: ChatRequest) -> (String, AnswerSummary) {
    let Answer { text, summary } = Answer::gather(library.nearside.chat(request)).await;
    (text, summary)
}

#[tokio::test]
async fn a_system_prompt_with_a_clock_is_named_and_one_without_is_not() {
    let library = ScratchLibrary::open(2048);
    let model = library.folder.path().join("tools.gguf");
    std::fs::write(&model, tiny_models::with_tools()).expect("a file");
    let mut turns = vec![ChatMessage::user("When is high tide? ".repeat(20))];
    let mut told = vec![];
    // The time changes after the second turn, and the tools after the fourth.
    for (time, tools) in [("9:00", 0), ("9:00", 0), ("9:01", 0), ("9:01", 0), ("9:01", 1)] {
        let system = ChatMessage::system(format!("It is {time}. You know the tides."));
        let messages: Vec<_> = [system].into_iter().chain(turns.clone()).collect();
        let mut request = greedy(&model, messages, 4);
        request.tools = (0..tools)
            .map(|_| ToolDefinition {
                name: "tides".into(),
                description: "The tides.".into(),
                parameters: "{\"type\":\"object\"}".into(),
            })
            .collect();
        let (said, summary) = answer_of(&library, request).await;
        let usage = summary.usage;
        let missed = summary.receipt.cache_miss;
        assert_eq!(
            missed.is_some(),
            told.len() >= 2 && usage.cached_tokens < usage.prompt_tokens / 2,
            "{usage:?}"
        );
        told.push(missed);
        turns.extend([ChatMessage::assistant(said), ChatMessage::user("And then?")]);
    }
    let (clock, tools) = (Some(CacheMiss::SystemPromptChanged), Some(CacheMiss::ToolsChanged));
    assert_eq!(told, [None, None, clock, None, tools]);
}

/// Prompts that are read in the same way have the same answers. One that is in the cache, for the most part, is computed in
/// other batches: the answer may take another way where two tokens are nearly equally likely, as `SamplingOptions::seed` says,
/// but not before.
#[tokio::test]
async fn greedy_answers_are_the_same_where_the_prompt_is_read_in_the_same_way() {
    let model = models::path("smollm2.gguf");
    let questions = [
        "Why do the tides come twice a day?",
        "Name three rivers of France.",
        "Write a short poem about the sea.",
    ];
    let warm = ScratchLibrary::open(2048);
    let mut conversations = vec![];
    for question in questions {
        let mut turns = vec![ChatMessage::user(question)];
        let (said, _) = answer_of(&warm, greedy(&model, turns.clone(), 24)).await;
        turns.extend([ChatMessage::assistant(said), ChatMessage::user("Say more about it.")]);
        conversations.push(turns);
    }
    let mut equal = 0;
    for turns in &conversations {
        // Restored from a copy: another conversation was answered last. Then reused, with all but the last token cached.
        let (restored, first) = answer_of(&warm, greedy(&model, turns.clone(), 24)).await;
        let (reused, second) = answer_of(&warm, greedy(&model, turns.clone(), 24)).await;
        let (cold, third) = answer_of(&ScratchLibrary::open(2048), greedy(&model, turns.clone(), 24)).await;
        let (cold_again, _) = answer_of(&ScratchLibrary::open(2048), greedy(&model, turns.clone(), 24)).await;
        assert!(first.usage.cached_tokens > 20, "{:?}", first.usage);
        assert_eq!(second.usage.cached_tokens + 1, second.usage.prompt_tokens);
        assert_eq!(third.usage.cached_tokens, 0);
        assert_eq!(cold_again, cold, "a cold prompt");
        let (reused_again, _) = answer_of(&warm, greedy(&model, turns.clone(), 24)).await;
        assert_eq!(reused_again, reused, "a prompt from the cache");
        for other in [&restored, &reused] {
            let same = other
                .bytes()
                .zip(cold.bytes())
                .take_while(|(one, two)| one == two)
                .count();
            println!("{same} of {} bytes are those of a cold prompt", cold.len());
            equal += u32::from(*other == cold);
            assert!(same >= 20 || *other == cold, "{other:?} instead of {cold:?}");
        }
    }
    assert!(equal >= 3, "only {equal} of 6 are equal to the end");
}

//! The likelihood table: for each architecture, how much the likelihood of a fixed text changes by each way in which a prompt
//! of thousands of tokens comes into the cache, compared with reading it whole. The greedy tokens after the prompt are the same:
//! it is one without a near tie between two tokens, which falls either way with other batches. Run with `--nocapture`, it prints
//! the table.

use nearside_llama::{CacheCheckpoint, Context, Model, SavedCache, TILE_TOKENS, Token};
use nearside_tests::likelihood::{TOLERANCE, Turn, context_of, decode, load, story, tokens};
use nearside_tests::tiny_models::TinyShape;

/// A way in which a prompt comes into the cache. `None`: this cache does not go it.
type Way = fn(&Case) -> Option<Turn>;

/// A model, and a prompt whose last 20 tokens are a question after an answer of 20 tokens.
struct Case {
    shape: TinyShape,
    model: Model,
    prompt: Vec<Token>,
}

const CONTEXT: u32 = 4096;
const WAYS: [(&str, Way); 6] = [
    ("reuse", reuse),
    ("edit", edit),
    ("tile", read_tile),
    ("checkpoint", go_back),
    ("copy", copy),
    ("file", restore),
];

impl Case {
    fn new(shape: TinyShape) -> Self {
        let model = load(shape);
        Self {
            shape,
            prompt: tokens(&model, &story(100)),
            model,
        }
    }

    fn context(&self) -> Context {
        context_of(&self.model, CONTEXT)
    }

    /// Returns what is said before the question.
    fn history(&self) -> &[Token] {
        &self.prompt[..self.prompt.len() - 20]
    }

    /// Returns a context that read the prompt of the answer before the question, and wrote that answer.
    fn answered(&self) -> Context {
        let (read, answer) = self.history().split_at(self.history().len() - 20);
        let mut context = self.context();
        decode(&mut context, read, true);
        for token in answer {
            decode(&mut context, &[*token], true);
        }
        context
    }

    fn turn(&self, context: &mut Context) -> Turn {
        Turn::of(context, &self.model, &self.prompt)
    }
}

/// The next turn of the conversation that the context holds.
fn reuse(case: &Case) -> Option<Turn> {
    Some(case.turn(&mut case.answered()))
}

/// Another question was asked and answered, and is cut off.
fn edit(case: &Case) -> Option<Turn> {
    let mut context = case.answered();
    if !context.can_trim_anywhere() {
        return None;
    }
    decode(&mut context, &case.prompt[..100], true);
    let history = case.history().len() as u32;
    assert_eq!(context.trim(history), history);
    Some(case.turn(&mut context))
}

/// The last tokens that the cache holds are read again, so that those and the question are computed in one tile.
fn read_tile(case: &Case) -> Option<Turn> {
    let mut context = case.answered();
    if !context.can_trim_anywhere() {
        return None;
    }
    let (prompt, tile) = (case.prompt.len() as u32, TILE_TOKENS);
    assert_eq!(context.worth_keeping(prompt - tile + 1, prompt), prompt - tile);
    // More would be computed than is gained.
    for (common, prompt) in [(prompt - 4, prompt), (prompt - tile, prompt), (500, 540)] {
        assert_eq!(context.worth_keeping(common, prompt), common);
    }
    assert_eq!(context.trim(prompt - tile), prompt - tile);
    Some(case.turn(&mut context))
}

/// Another question was asked and answered, and the cache goes back to the checkpoint before it.
fn go_back(case: &Case) -> Option<Turn> {
    let mut context = case.answered();
    let checkpoint = context.save_checkpoint(u64::MAX)?;
    decode(&mut context, &case.prompt[..100], true);
    assert_eq!(context.restore_checkpoint(&checkpoint), case.history().len() as u32);
    let turn = case.turn(&mut context);

    // The same checkpoint as from a file.
    context.clear();
    decode(&mut context, case.history(), true);
    decode(&mut context, &case.prompt[..100], true);
    let (tokens, content) = (checkpoint.tokens().to_vec(), checkpoint.content().to_vec());
    let rebuilt = CacheCheckpoint::from_parts(&case.model, tokens, content);
    assert_eq!(context.restore_checkpoint(&rebuilt), case.history().len() as u32);
    assert_eq!(case.turn(&mut context), turn);
    Some(turn)
}

/// Another conversation used the context meanwhile.
fn copy(case: &Case) -> Option<Turn> {
    let mut context = case.answered();
    let saved = context.save(u64::MAX)?;
    context.clear();
    decode(&mut context, &case.prompt[50..500], true);
    assert_eq!(context.restore(&saved), case.history().len() as u32);
    Some(case.turn(&mut context))
}

/// As after a restart: the content was in a file, and the model is loaded anew.
fn restore(case: &Case) -> Option<Turn> {
    let saved = case.answered().save(u64::MAX)?;
    let model = load(case.shape);
    let rebuilt = SavedCache::from_parts(&model, saved.tokens().to_vec(), saved.content().to_vec());
    let mut context = context_of(&model, CONTEXT);
    assert_eq!(context.restore(&rebuilt), case.history().len() as u32);
    Some(Turn::of(&mut context, &model, &case.prompt))
}

#[test]
fn the_likelihood_of_a_text_is_the_same_however_the_prompt_came_into_the_cache() {
    println!("difference in nats from a cold run; at most {TOLERANCE} is allowed, and no other greedy token");
    print!("{:<30}{:>8}{:>10}", "", "tokens", "cold");
    WAYS.iter().for_each(|(name, _)| print!("{name:>12}"));
    println!();
    for shape in TinyShape::ALL {
        let case = Case::new(shape);
        let name = format!("{shape:?} ({})", shape.architecture());
        let cold = case.turn(&mut case.context());
        print!("{name:<30}{:>8}{:>10.3}", case.prompt.len(), cold.likelihood);
        let turns = WAYS.map(|(way, run)| (way, run(&case)));
        for (_, turn) in &turns {
            match turn {
                Some(turn) => print!("{:>12.6}", (turn.likelihood - cold.likelihood).abs()),
                None => print!("{:>12}", "-"),
            }
        }
        println!();
        for (way, turn) in turns.into_iter().filter_map(|(way, turn)| Some((way, turn?))) {
            assert_eq!(turn, cold, "{name}: {way}");
        }
    }
}

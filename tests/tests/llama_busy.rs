//! Answers beside other processes that keep all cores busy. The only test of this file, so that nothing else in its process
//! computes meanwhile.

#![cfg(unix)]

use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;

use nearside_llama::{Context, ContextParams, Decoded, Model, ModelParams, Sampler, SamplerParams, Token};
use nearside_tests::models;

#[test]
fn beside_busy_processes_fewer_threads_compute() {
    let model = Model::load(&models::path("smollm2.gguf"), &ModelParams::default(), &mut |_| true).unwrap();
    let params = ContextParams {
        threads: 512,
        ..ContextParams::default()
    };
    let mut context = Context::new(&model, &params).unwrap();
    let most = context.threads();
    if most < 2 {
        eprintln!("one core: there is nothing to choose");
        return;
    }
    let _busy: Vec<BusyProcess> = (0..most).map(|_| BusyProcess::start()).collect();
    let prompt = model
        .tokenize(&"The tide comes and the tide goes. ".repeat(100), true, false)
        .unwrap();
    // Whether fewer threads are faster for the large products of a prefill is the scheduler's doing: only the tokens are
    // checked. Single tokens collapse with every thread that has no core of its own.
    let fewer = prefill(&mut context, &prompt);
    println!("{fewer} of {} tokens with fewer than {most} threads", prompt.len());
    let fewer = generate(&mut context, 150);
    assert!(fewer > 20, "{fewer} of 150 tokens with fewer than {most} threads");
}

/// Returns how many of the tokens were decoded while fewer threads were the choice.
fn prefill(context: &mut Context, prompt: &[Token]) -> usize {
    let (mut rest, mut fewer) = (prompt, 0);
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(context.next_batch(rest.len()));
        let outcome = context.decode(batch, after.is_empty(), &AtomicBool::new(false));
        assert_eq!(outcome, Ok(Decoded::Whole));
        if context.batch_threads() < context.threads() {
            fewer += batch.len();
        }
        rest = after;
    }
    assert_eq!(context.held_tokens(), prompt, "an interrupted batch was done again");
    fewer
}

/// Returns how many of the tokens were decoded while fewer threads were the choice.
fn generate(context: &mut Context, tokens: usize) -> usize {
    let mut sampler = Sampler::new(context.model(), &SamplerParams::default()).unwrap();
    let begun = context.position();
    let fewer = (0..tokens).filter(|_| {
        let token = context.sample(&mut sampler).unwrap();
        let outcome = context.decode(&[token], true, &AtomicBool::new(false));
        assert_eq!(outcome, Ok(Decoded::Whole));
        context.token_threads() < context.threads()
    });
    let fewer = fewer.count();
    assert_eq!(context.position() as usize, begun as usize + tokens);
    fewer
}

/// A process that keeps one core busy. It ends when it is dropped, and when this process ends in any other way, because its
/// input ends then.
struct BusyProcess(Child);

impl BusyProcess {
    fn start() -> Self {
        let script = "(while :; do :; done) & read line; kill $!";
        let shell = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn();
        Self(shell.unwrap())
    }
}

impl Drop for BusyProcess {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

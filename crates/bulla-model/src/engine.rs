//! The one thread that owns the model: it takes jobs from the queue, one at a
//! time, and sends back text.
//!
//! Nothing stays between two jobs: the key-value cache is wiped before each.
//! **Invariant:** this file prints nothing and puts no text of a job into an error.

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::model::{LlamaChatMessage, LlamaChatTemplate, LlamaModel};
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use tokio::sync::mpsc::Sender;

use crate::text::{CodePoints, Stops};

/// Words of the prompt per call into llama.cpp. Between two calls the thread
/// looks whether the client is still there, so this bounds wasted work.
const BATCH_WORDS: usize = 512;

/// How far back a frequency or presence penalty looks, in words of the answer.
const PENALTY_WINDOW_WORDS: i32 = 256;

/// Makes llama.cpp draw a seed of its own: its `LLAMA_DEFAULT_SEED`.
const RANDOM_SEED: u32 = u32::MAX;

/// How the engine is set up.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) model: PathBuf,
    /// Prompt and answer together, in words of the model.
    pub(crate) context: u32,
    pub(crate) threads: i32,
    pub(crate) verbose: bool,
}

/// What is known of the model once it is loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Card {
    pub(crate) context: u32,
    pub(crate) parameters: u64,
}

/// Why the engine cannot run. Holds nothing of any job.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error("llama.cpp does not start: {0}")]
    Backend(#[source] llama_cpp_2::LlamaCppError),
    #[error("the model file cannot be loaded; is it a whole GGUF file? (--verbose says more)")]
    Load,
    #[error("the model file has no chat template, so it cannot follow a conversation")]
    NoTemplate,
    #[error("llama.cpp does not know the chat template of this model")]
    UnknownTemplate,
    #[error("a context of {asked} was asked for, but the model was trained for {trained}")]
    ContextTooLong { asked: u32, trained: u32 },
    #[error("no memory for a context of {0}")]
    Context(u32),
    #[error("the inference thread ended unexpectedly")]
    Gone,
}

/// Who speaks in one message of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message of the conversation. Has no `Debug`, so that it cannot be logged.
pub(crate) struct Message {
    pub(crate) role: Role,
    pub(crate) text: String,
}

/// How the next word is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampling {
    /// `0` always takes the likeliest word.
    pub(crate) temperature: f32,
    pub(crate) top_p: f32,
    pub(crate) frequency_penalty: f32,
    pub(crate) presence_penalty: f32,
    pub(crate) seed: Option<u32>,
}

/// One answer to generate.
pub(crate) struct Job {
    pub(crate) messages: Vec<Message>,
    pub(crate) sampling: Sampling,
    /// At most this many words; the context is the limit when absent.
    pub(crate) max_words: Option<u32>,
    pub(crate) stops: Vec<String>,
    /// Closed when the client has gone, which ends the job.
    pub(crate) events: Sender<Event>,
}

/// What a job sends back: one `Refused`, or `Started`, then `Text`, then `Done` or `Failed`.
pub(crate) enum Event {
    Refused(Refusal),
    Started { prompt_words: u32 },
    Text(String),
    Done { finish: Finish, answer_words: u32 },
    Failed,
}

/// Why a prompt cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooLong { words: usize, limit: u32 },
    Template,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
}

/// Why a job ended without an answer.
enum Halt {
    Refused(Refusal),
    ClientGone,
    Failed,
}

/// Loads the model, says so through `ready`, and works until the queue closes.
///
/// # Errors
/// [`EngineError`] when the model cannot be loaded or cannot follow a conversation.
pub(crate) fn run(
    settings: &Settings,
    queue: &Receiver<Job>,
    ready: impl FnOnce(Card),
) -> Result<(), EngineError> {
    let mut backend = LlamaBackend::init().map_err(EngineError::Backend)?;
    if !settings.verbose {
        backend.void_logs();
    }
    let model = LlamaModel::load_from_file(&backend, &settings.model, &LlamaModelParams::default())
        .map_err(|_| EngineError::Load)?;
    let trained = model.n_ctx_train();
    if settings.context > trained {
        return Err(EngineError::ContextTooLong { asked: settings.context, trained });
    }
    let template = model.chat_template(None).map_err(|_| EngineError::NoTemplate)?;
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(settings.context))
        .with_n_batch(u32::try_from(BATCH_WORDS).unwrap_or(u32::MAX))
        .with_n_threads(settings.threads)
        .with_n_threads_batch(settings.threads);
    let context =
        model.new_context(&backend, params).map_err(|_| EngineError::Context(settings.context))?;
    let batch = LlamaBatch::new(BATCH_WORDS, 1);
    let mut engine = Engine { model: &model, template, context, batch, limit: settings.context };

    // A conversation of one message proves at start that the template works.
    let probe = [Message { role: Role::User, text: "ready?".into() }];
    engine.prompt(&probe).map_err(|_| EngineError::UnknownTemplate)?;
    ready(Card { context: settings.context, parameters: model.n_params() });
    while let Ok(job) = queue.recv() {
        engine.work(&job);
    }
    Ok(())
}

struct Engine<'model> {
    model: &'model LlamaModel,
    template: LlamaChatTemplate,
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    limit: u32,
}

impl Engine<'_> {
    fn work(&mut self, job: &Job) {
        let last = match self.answer(job) {
            Ok((finish, answer_words)) => Event::Done { finish, answer_words },
            Err(Halt::Refused(refusal)) => Event::Refused(refusal),
            Err(Halt::Failed) => Event::Failed,
            Err(Halt::ClientGone) => return,
        };
        // Nobody is left to tell when this fails.
        drop(send(job, last));
    }

    /// Generates one answer and returns how it ended and its number of words.
    fn answer(&mut self, job: &Job) -> Result<(Finish, u32), Halt> {
        if job.events.is_closed() {
            return Err(Halt::ClientGone);
        }
        let prompt = self.prompt(&job.messages).map_err(Halt::Refused)?;
        let refusal = Refusal::TooLong { words: prompt.len(), limit: self.limit };
        let prompt_words = u32::try_from(prompt.len()).map_err(|_| Halt::Refused(refusal))?;
        // At least one word of the answer must fit behind the prompt.
        if prompt_words == 0 || prompt_words >= self.limit {
            return Err(Halt::Refused(refusal));
        }
        send(job, Event::Started { prompt_words })?;
        self.context.clear_kv_cache();
        self.read(&prompt, job)?;
        let room = self.limit - prompt_words;
        let budget = job.max_words.map_or(room, |words| words.min(room));
        self.write(prompt_words, budget, job)
    }

    /// The prompt as words of the model.
    ///
    /// The template is rendered over placeholders and each message is then
    /// split apart from it without control words, so that text which looks like
    /// `<|im_end|>` stays text and cannot take another role.
    fn prompt(&self, messages: &[Message]) -> Result<Vec<LlamaToken>, Refusal> {
        let chat: Vec<LlamaChatMessage> = messages
            .iter()
            .enumerate()
            .map(|(n, message)| LlamaChatMessage::new(message.role.name().into(), placeholder(n)))
            .collect::<Result<_, _>>()
            .map_err(|_| Refusal::Template)?;
        let frame = self
            .model
            .apply_chat_template(&self.template, &chat, true)
            .map_err(|_| Refusal::Template)?;
        let vocabulary = self.model.vocab();
        let mut words = Vec::new();
        let mut rest = frame.as_str();
        for (n, message) in messages.iter().enumerate() {
            let (before, after) = rest.split_once(&placeholder(n)).ok_or(Refusal::Template)?;
            vocabulary.tokenize_into(before.as_bytes(), &mut words, n == 0, true);
            vocabulary.tokenize_into(message.text.as_bytes(), &mut words, false, false);
            rest = after;
        }
        vocabulary.tokenize_into(rest.as_bytes(), &mut words, false, true);
        Ok(words)
    }

    /// Feeds the prompt to the model.
    fn read(&mut self, prompt: &[LlamaToken], job: &Job) -> Result<(), Halt> {
        let mut position = 0_i32;
        let mut left = prompt.len();
        for part in prompt.chunks(BATCH_WORDS) {
            if job.events.is_closed() {
                return Err(Halt::ClientGone);
            }
            self.batch.clear();
            for &word in part {
                left -= 1;
                self.batch.add(word, position, &[0], left == 0).map_err(|_| Halt::Failed)?;
                position += 1;
            }
            self.context.decode(&mut self.batch).map_err(|_| Halt::Failed)?;
        }
        Ok(())
    }

    /// Writes up to `budget` words from position `start` on.
    fn write(&mut self, start: u32, budget: u32, job: &Job) -> Result<(Finish, u32), Halt> {
        let mut sampler = sampler(self.model, job.sampling);
        let mut output = Output::new(job);
        for count in 0..budget {
            let word = sampler.sample(&self.context, self.batch.n_tokens() - 1);
            if self.model.vocab().is_eog(word) {
                output.finish()?;
                return Ok((Finish::Stop, count));
            }
            let piece = self.model.vocab().token_to_piece(word, false, None);
            if output.push(&piece)?.is_break() {
                return Ok((Finish::Stop, count + 1));
            }
            if count + 1 < budget {
                let position = i32::try_from(start + count).map_err(|_| Halt::Failed)?;
                self.batch.clear();
                self.batch.add(word, position, &[0], true).map_err(|_| Halt::Failed)?;
                self.context.decode(&mut self.batch).map_err(|_| Halt::Failed)?;
            }
        }
        output.finish()?;
        Ok((Finish::Length, budget))
    }
}

/// Stands for message `n` while the template is rendered. The template comes
/// from the model file and has no control characters of this kind.
fn placeholder(n: usize) -> String {
    format!("\u{2}{n}\u{3}")
}

fn sampler(model: &LlamaModel, sampling: Sampling) -> LlamaSampler {
    let mut chain = Vec::new();
    if sampling.frequency_penalty != 0.0 || sampling.presence_penalty != 0.0 {
        chain.push(LlamaSampler::penalties(
            model.n_vocab(),
            PENALTY_WINDOW_WORDS,
            1.0,
            sampling.frequency_penalty,
            sampling.presence_penalty,
        ));
    }
    if sampling.temperature <= 0.0 {
        chain.push(LlamaSampler::greedy());
    } else {
        chain.push(LlamaSampler::top_p(sampling.top_p, 1));
        chain.push(LlamaSampler::temp(sampling.temperature));
        chain.push(LlamaSampler::dist(sampling.seed.unwrap_or(RANDOM_SEED)));
    }
    LlamaSampler::chain_simple(chain)
}

/// Never waits: the channel has room for every event of a job, so `Full` would
/// be an error of ours and ends the job like a client that has gone.
fn send(job: &Job, event: Event) -> Result<(), Halt> {
    job.events.try_send(event).map_err(|_| Halt::ClientGone)
}

/// The way of an answer's bytes to the client.
struct Output<'job> {
    job: &'job Job,
    points: CodePoints,
    stops: Stops,
}

impl<'job> Output<'job> {
    fn new(job: &'job Job) -> Self {
        Self { job, points: CodePoints::default(), stops: Stops::new(job.stops.clone()) }
    }

    /// Breaks when a stop sequence is complete.
    fn push(&mut self, piece: &[u8]) -> Result<ControlFlow<()>, Halt> {
        let passed = self.stops.push(&self.points.push(piece));
        self.show(passed.text)?;
        Ok(if passed.stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn finish(mut self) -> Result<(), Halt> {
        let rest = std::mem::take(&mut self.points).finish();
        let passed = self.stops.push(rest);
        self.show(passed.text)?;
        if !passed.stopped {
            let held = std::mem::replace(&mut self.stops, Stops::new(Vec::new())).finish();
            self.show(held)?;
        }
        Ok(())
    }

    fn show(&self, text: String) -> Result<(), Halt> {
        if self.job.events.is_closed() {
            return Err(Halt::ClientGone);
        }
        if text.is_empty() { Ok(()) } else { send(self.job, Event::Text(text)) }
    }
}

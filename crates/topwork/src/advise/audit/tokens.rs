//! What a tokenizer makes of the texts.

use std::collections::HashSet;

use serde::Serialize;
use tokenizers::Tokenizer;
use topwork_data::TokenizedTexts;
use topwork_data::audit::scripts;

use super::Audit;
use crate::session::inputs::Inputs;
use crate::words::words;

/// A tokenizer whose vocabulary has fewer letters of a script than this part does not know it.
const KNOWN_SCRIPT: f64 = 0.02;
/// More unknown tokens than this part are a sign of another language.
const MANY_UNKNOWN: f64 = 0.02;
/// So many tokens a word are a sign of another language: English texts have 1.6 to 2.0 with the carried tokenizer, Finnish 3.2
/// (docs/experiments.md).
const MANY_PIECES: f64 = 2.5;

/// What a tokenizer makes of the texts.
#[derive(Clone, Debug, Serialize)]
pub struct TokenAudit {
    /// The model, as it was named.
    pub model: String,
    /// Tokens after which a text is cut.
    pub max_seq_length: usize,
    /// The part of the rows that are cut.
    pub truncated: f64,
    /// The part of the rows of words that are longer and are read in windows.
    #[serde(skip_serializing_if = "is_none")]
    pub windowed: f64,
    /// The part of the tokens that the tokenizer does not know.
    pub unknown: f64,
    /// Tokens of a word, without special tokens.
    pub pieces_per_word: f64,
    /// The part of the words of the test file (or the validation file) that no training row has; none without one.
    pub unseen_words: Option<f64>,
    /// The part of the vocabulary's letters that are of the texts' main script.
    pub script_in_vocabulary: f64,
}

impl Audit {
    /// Adds what the model's tokenizer makes of the texts; `inputs` have all training rows.
    pub fn look_at_tokens(&mut self, inputs: &Inputs) {
        let own = TokenAudit::of(inputs, self.splits.first().and_then(|split| split.scripts.first()).map(|s| s.0));
        self.findings.extend(own.findings());
        self.tokens = Some(own);
    }
}

impl TokenAudit {
    fn of(inputs: &Inputs, main_script: Option<&str>) -> Self {
        let texts = &inputs.train.texts;
        let rows = texts.len().max(1) as f64;
        let special = special_tokens(&inputs.tokenizer, inputs.train.examples.iter().any(|e| e.text_pair.is_some()));
        let word_count: usize = inputs.train.examples.iter().map(|example| words_of(example).count()).sum();
        let tokens = whole_tokens(inputs, texts).saturating_sub(special * texts.len());
        let held_out = inputs.test.as_ref().or(inputs.validation.as_ref());
        let unseen_words = held_out.map(|split| {
            let seen: HashSet<String> = inputs.train.examples.iter().flat_map(words_of).collect();
            let (mut unseen, mut all) = (0usize, 0usize);
            for word in split.examples.iter().flat_map(words_of) {
                all += 1;
                unseen += usize::from(!seen.contains(&word));
            }
            unseen as f64 / all.max(1) as f64
        });
        Self {
            model: inputs.plan.model_name_or_path.value.clone(),
            max_seq_length: inputs.plan.max_seq_length.value,
            truncated: texts.truncated as f64 / rows,
            windowed: texts.windowed as f64 / rows,
            unknown: texts.unknown as f64 / texts.total_tokens().max(1) as f64,
            pieces_per_word: tokens as f64 / word_count.max(1) as f64,
            unseen_words,
            script_in_vocabulary: main_script.map_or(1.0, |script| vocabulary_share(&inputs.tokenizer, script)),
        }
    }

    fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        if self.truncated > 0.0 {
            let (part, length) = (100.0 * self.truncated, self.max_seq_length);
            findings.push(format!("{part:.1} % of the training rows are cut after {length} tokens"));
        }
        if self.windowed > 0.0 {
            let (part, length) = (100.0 * self.windowed, self.max_seq_length);
            findings.push(format!(
                "{part:.1} % of the training rows have more than {length} tokens and are read in windows"
            ));
        }
        if self.unknown > MANY_UNKNOWN || self.script_in_vocabulary < KNOWN_SCRIPT {
            findings.push(format!(
                "the texts are of a script or language that {}'s tokenizer hardly knows: {:.1} % of the tokens are unknown, \
                 {:.1} % of its vocabulary is of their script",
                self.model,
                100.0 * self.unknown,
                100.0 * self.script_in_vocabulary
            ));
        } else if self.pieces_per_word > MANY_PIECES {
            findings.push(format!(
                "{}'s tokenizer cuts a word into {:.1} pieces on average: the texts may be of a language that it does not know",
                self.model, self.pieces_per_word
            ));
        }
        findings
    }
}

fn is_none(part: &f64) -> bool {
    *part == 0.0
}

/// Tokens of the rows before any is cut or parted, as the plan's facts know them; of the rows as they are when none is.
fn whole_tokens(inputs: &Inputs, texts: &TokenizedTexts) -> usize {
    match texts.truncated + texts.windowed {
        0 => texts.total_tokens(),
        _ => inputs.plan.facts.total_tokens,
    }
}

fn special_tokens(tokenizer: &Tokenizer, pair: bool) -> usize {
    use tokenizers::PostProcessor;
    tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(pair))
}

/// The words of a row, in lower case.
fn words_of(example: &topwork_data::Example) -> impl Iterator<Item = String> + '_ {
    let texts = [Some(example.text.as_str()), example.text_pair.as_deref()];
    texts.into_iter().flatten().flat_map(|text| words(text).map(str::to_lowercase))
}

/// The part of the letters of a tokenizer's vocabulary that are of a script.
fn vocabulary_share(tokenizer: &Tokenizer, script: &str) -> f64 {
    let vocabulary = tokenizer.get_vocab(true);
    let counts = scripts(vocabulary.keys().map(String::as_str));
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    let own = counts.iter().find(|(name, _)| *name == script).map_or(0, |(_, count)| *count);
    own as f64 / all.max(1) as f64
}

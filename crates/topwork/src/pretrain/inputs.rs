//! Everything that pre-training reads, read and checked before anything is done.

use std::path::PathBuf;
use std::time::Instant;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokenizers::Tokenizer;
use topwork_data::{Corpus, CorpusOptions, CorpusPart, DataError, TokenStore};
use topwork_models::{
    Block, Checkpoint, HeadKind, HubSettings, ModelConfig, OF_NEW_MODELS, Sizes, SpecialIds, TokenizerOptions,
    check_tokenizer, checkpoint_has, read_tokenizer, train_tokenizer,
};

use super::facts::{PretrainFacts, SourceFacts};
use super::options::{PretrainPlan, PretrainRecipe};
use super::resolve::resolve;
use crate::error::Error;
use crate::events::{Observer, Observers, RecordedEvents, RunEvent};
use crate::plan::recipe::Pins;
use crate::run::output_directory::unused_directory;
use crate::session::files::required;
use crate::session::inputs::{find_model, hash_files, hash_tokenizer, warn_of_namesake};
use crate::tasks::objectives::{Vocabulary, vocabulary};

/// Rarer tokens are not worth a place in the vocabulary.
const LEAST_FREQUENCY: u64 = 2;

/// A model to go on from.
pub struct Source {
    /// Its directory.
    pub directory: PathBuf,
    /// Its weights.
    pub checkpoint: Checkpoint,
    /// The directory, where the model is the carried one: it goes with this value.
    _unpacked: Option<TempDir>,
}

/// What pre-training works on, and what it will do.
pub struct PretrainInputs {
    /// What the run will do.
    pub plan: PretrainPlan,
    /// The model to go on from; none for a new one.
    pub source: Option<Source>,
    /// The model's configuration.
    pub config: ModelConfig,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Its tokens.
    pub vocabulary: Vocabulary,
    /// The heads that the objectives need.
    pub head: HeadKind,
    /// The documents.
    pub corpus: Corpus,
    /// The tokens to learn from.
    pub train: TokenStore,
    /// The tokens to be measured on.
    pub held_out: Option<TokenStore>,
    /// What was reported while reading.
    pub events: Vec<RunEvent>,
    /// Seconds spent on reading corpus and model.
    pub load_seconds: f64,
    /// Seconds spent on the tokenizer and on tokenizing.
    pub tokenize_seconds: f64,
}

impl PretrainInputs {
    /// Reads the corpus and the model that `recipe` names, resolves the plan, and trains the tokenizer of a new model on
    /// the documents that are not held out.
    ///
    /// # Errors
    /// When anything that the run needs is missing or unusable. Nothing is written but temporary files.
    pub fn read(recipe: &PretrainRecipe, hub: &HubSettings, observer: &mut dyn Observer) -> Result<Self, Error> {
        let mut recorded = RecordedEvents::default();
        let mut inputs = Self::gather(recipe, hub, &mut Observers(&mut [observer, &mut recorded]))?;
        inputs.events = recorded.events;
        Ok(inputs)
    }

    fn gather(recipe: &PretrainRecipe, hub: &HubSettings, observer: &mut dyn Observer) -> Result<Self, Error> {
        observer.event(&RunEvent::phase("load"));
        let started = Instant::now();
        let files = required(&recipe.corpus_files, "corpus_files")?;
        // What the corpus is read with has no default that depends on facts; and what contradicts itself is said before
        // hours of reading.
        let unpinned = PretrainRecipe { pins: Pins::default(), ..recipe.clone() };
        resolve(&unpinned, &PretrainFacts::default())?;
        if let Some(said) = &recipe.model_name_or_path {
            warn_of_namesake(&said.value, observer);
        }
        let said = recipe.model_name_or_path.as_ref();
        let source = said.map(|said| Source::find(&said.value, hub, observer)).transpose()?;
        let model = source.as_ref().map(source_facts).transpose()?;
        let early = resolve(&unpinned, &PretrainFacts { model: model.clone(), ..PretrainFacts::default() })?;
        let options = CorpusOptions {
            text_column: early.text_column.value.clone(),
            held_out_fraction: early.validation_fraction.value,
            seed: early.seed.value,
        };
        let corpus = match early.line_by_line.value {
            true => Corpus::read_lines(files, &options, &mut |_| {})?,
            false => Corpus::read(files, &options, &mut |_| {})?,
        };
        let facts = facts(files, &corpus, model);
        let plan = resolve(recipe, &facts)?;
        for warning in &plan.warnings {
            observer.event(&RunEvent::warning(warning));
        }
        report_corpus(&corpus, observer);
        check_pairs(&plan, &corpus)?;
        let load_seconds = started.elapsed().as_secs_f64();

        observer.event(&RunEvent::phase("tokenize"));
        let started = Instant::now();
        let tokenizer = match &source {
            Some(source) => {
                let (tokenizer, notes) = read_tokenizer(&source.directory)?;
                notes.into_iter().for_each(|message| observer.event(&RunEvent::Note { message }));
                tokenizer
            }
            None => {
                let texts = corpus.documents(CorpusPart::Train).map(|text: Result<String, DataError>| Ok(text?));
                train_tokenizer::<Error>(texts, &tokenizer_options(&plan))?
            }
        };
        let config = match &source {
            Some(source) => ModelConfig::load(&source.directory)?,
            None => new_config(&plan, &tokenizer)?,
        };
        let sizes = config.encoder().sizes();
        if let Some(source) = &source {
            check_tokenizer(&source.directory, &tokenizer, sizes.vocab_size)?;
        }
        let pairs = plan.objective.value.has_pair_head();
        if pairs && sizes.type_vocab_size.is_none_or(|types| types < 2) {
            let message = "objective: expected a model with 2 token types for pairs of passages, found one with fewer";
            return Err(Error::run(message, "--objective mlm"));
        }
        let has_pooler = |source: &Source| {
            let head = HeadKind::Pretraining { pairs: false, pooler: true };
            checkpoint_has(&source.checkpoint, &config, head, Block::Final)
        };
        let pooler = plan.objective.value.has_pooler() || source.as_ref().is_some_and(has_pooler);
        let train = corpus.tokenize(CorpusPart::Train, &tokenizer)?;
        let held_out = match corpus.counts().held_out_documents {
            0 => None,
            _ => Some(corpus.tokenize(CorpusPart::HeldOut, &tokenizer)?).filter(|store| store.tokens() > 0),
        };
        if plan.objective.value.nsp.is_some() && corpus.counts().held_out_documents == 1 {
            let message = "nsp is not scored: one document is held out, and a random second passage is of another";
            observer.event(&RunEvent::warning(message));
        }
        let directory = source.as_ref().map(|source| source.directory.as_path());
        let vocabulary = vocabulary(&tokenizer, directory, sizes.vocab_size)?;
        Ok(Self {
            vocabulary,
            head: HeadKind::Pretraining { pairs, pooler },
            plan,
            source,
            config,
            tokenizer,
            corpus,
            train,
            held_out,
            events: Vec::new(),
            load_seconds,
            tokenize_seconds: started.elapsed().as_secs_f64(),
        })
    }
}

impl Source {
    fn find(spec: &str, hub: &HubSettings, observer: &mut dyn Observer) -> Result<Self, Error> {
        let (directory, unpacked) = find_model(spec, hub, observer)?;
        Ok(Self { checkpoint: Checkpoint::open(&directory)?, directory, _unpacked: unpacked })
    }
}

/// The options with which a new tokenizer is trained and written.
pub(super) fn tokenizer_options(plan: &PretrainPlan) -> TokenizerOptions {
    TokenizerOptions {
        kind: plan.tokenizer_type.value,
        vocab_size: plan.vocab_size.value,
        lowercase: plan.do_lower_case.value,
        min_frequency: LEAST_FREQUENCY,
    }
}

/// `config.json` of a new model. Its dropout is for fine-tuning: pre-training has its own.
fn new_config(plan: &PretrainPlan, tokenizer: &Tokenizer) -> Result<ModelConfig, Error> {
    let pad = SpecialIds::find(tokenizer, None)?.pad.unwrap_or(0);
    let sizes = Sizes {
        vocab_size: tokenizer.get_vocab_size(true),
        hidden_size: plan.hidden_size.value,
        num_hidden_layers: plan.num_hidden_layers.value,
        num_attention_heads: plan.num_attention_heads.value,
        intermediate_size: plan.intermediate_size.value,
        max_tokens: plan.max_seq_length.value,
        type_vocab_size: Some(2),
        pad_token_id: pad as usize,
    };
    // A new model is of the first family.
    let raw = (OF_NEW_MODELS.new_config)(&sizes);
    Ok(ModelConfig::parse("config.json".as_ref(), raw)?)
}

fn source_facts(source: &Source) -> Result<SourceFacts, Error> {
    let config = ModelConfig::load(&source.directory)?;
    let sizes = config.encoder().sizes();
    let dropouts = config.encoder().dropouts(HeadKind::MASKED_WORDS);
    Ok(SourceFacts {
        num_hidden_layers: sizes.num_hidden_layers,
        hidden_size: sizes.hidden_size,
        num_attention_heads: sizes.num_attention_heads,
        intermediate_size: sizes.intermediate_size,
        max_position_embeddings: sizes.max_tokens,
        vocab_size: sizes.vocab_size,
        hidden_dropout_prob: dropouts.hidden.value,
        attention_probs_dropout_prob: dropouts.attention.value,
        sha256: hash_files(&source.checkpoint.files())?,
        config_sha256: hash_files(&[&source.directory.join("config.json")])?,
        tokenizer_sha256: hash_tokenizer(&source.directory)?,
    })
}

fn facts(files: &[PathBuf], corpus: &Corpus, model: Option<SourceFacts>) -> PretrainFacts {
    let mut hasher = Sha256::new();
    corpus.sources().iter().for_each(|source| hasher.update(source.sha256.as_bytes()));
    PretrainFacts {
        documents: corpus.counts().documents,
        corpus_sha256: hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        model,
        unused_output_dir: match files {
            [file] => unused_directory(file),
            _ => unused_directory("pretrained".as_ref()),
        },
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

fn report_corpus(corpus: &Corpus, observer: &mut dyn Observer) {
    let counts = corpus.counts();
    let message = format!(
        "{} documents from {} files, {} of them held out; dropped: {} repeated, {} nearly repeated, {} empty lines",
        counts.documents,
        corpus.sources().len(),
        counts.held_out_documents,
        counts.exact_duplicates,
        counts.near_duplicates,
        counts.empty_lines,
    );
    observer.event(&RunEvent::Note { message });
}

/// A random second passage is of another document, so there must be another one to learn from.
fn check_pairs(plan: &PretrainPlan, corpus: &Corpus) -> Result<(), Error> {
    let counts = corpus.counts();
    let train = counts.documents - counts.held_out_documents;
    if plan.objective.value.nsp.is_some() && train < 2 {
        let message =
            format!("nsp: expected at least 2 documents to learn from, found {train}: there is no other passage");
        return Err(Error::run(message, "--objective mlm, or blank lines between documents, or --line-by-line"));
    }
    Ok(())
}

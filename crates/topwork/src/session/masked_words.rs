//! The pretrained model with its own head for hidden words: what it knows of a text, in nats a word.

use topwork_data::{Passage, Stream, TokenizedTexts};
use topwork_engine::Parameters;
use topwork_models::{Block, HeadKind, HeadRule, Model, ModelOptions, WeightOptions, Weights, checkpoint_has};

use crate::error::Error;
use crate::session::inputs::Inputs;
use crate::tasks::objectives::mlm::Mlm;
use crate::tasks::objectives::vocabulary;
use crate::tasks::objectives::{Question, Questions};
use crate::tasks::pretraining_problem::hidden_word_losses;

/// Names the draws.
const SEED: u64 = 0;

/// A model that fills in hidden words.
pub(crate) struct MaskedWords {
    model: Model,
    parameters: Parameters,
    vocabulary: crate::tasks::objectives::Vocabulary,
}

impl MaskedWords {
    /// The model with its head for words; none when its checkpoint has none.
    pub(crate) fn load(inputs: &Inputs) -> Result<Option<Self>, Error> {
        // The head for words reads the last of all layers.
        let config = inputs.config.whole();
        let has = |head, block| checkpoint_has(&inputs.checkpoint, config, head, block);
        if !has(HeadKind::MASKED_WORDS, Block::Head) {
            return Ok(None);
        }
        let with_pooler = HeadKind::Pretraining { pairs: false, pooler: true };
        let head = if has(with_pooler, Block::Final) { with_pooler } else { HeadKind::MASKED_WORDS };
        let options = WeightOptions::of(head, HeadRule::LoadIfShapeFits);
        let parameters = Weights::load(&inputs.checkpoint, config, &options)?.parameters();
        let model = Model::bind(config, &parameters, ModelOptions::of(head))?;
        // Without a token that hides words, the head cannot be asked.
        let Ok(vocabulary) = vocabulary(&inputs.tokenizer, Some(&inputs.source), config.encoder().sizes().vocab_size)
        else {
            return Ok(None);
        };
        Ok(Some(Self { model, parameters, vocabulary }))
    }

    /// Takes the values of every parameter that `tuned` has by the same name and with as many values: the encoder's, that is, not
    /// the head's.
    pub(crate) fn take_encoder(&mut self, tuned: &Parameters) {
        for (_, own) in self.parameters.iter_mut() {
            if let Some(id) = tuned.find(&own.name)
                && tuned.get(id).values.len() == own.values.len()
            {
                own.values.copy_from_slice(&tuned.get(id).values);
            }
        }
    }

    /// The loss of the words of each text that were hidden, in nats: their sum and their number. Each text is asked about
    /// `maskings` times, with other words hidden.
    pub(crate) fn losses(&self, texts: &TokenizedTexts, max_length: usize, maskings: u64) -> Vec<HiddenWords> {
        let passage = |row: usize| {
            let (ids, _) = texts.row(row);
            let ids = ids.iter().copied().filter(|&id| self.vocabulary.is_text[id as usize]);
            let ids: Vec<u32> = ids.take(Questions::max_passage(max_length, false)).collect();
            Passage { document: row as u64, sentence_ends: vec![ids.len() as u32], ids }
        };
        let passages: Vec<Passage> = (0..texts.len()).map(passage).filter(|passage| !passage.ids.is_empty()).collect();
        let mlm = Mlm::default();
        let questions = Questions { vocabulary: &self.vocabulary, mlm: Some(&mlm), pair: None, max_length };
        let mut by_text = vec![HiddenWords::default(); passages.len()];
        for masking in 0..maskings {
            let asked: Vec<Question> = questions.ask(&passages, &Stream::named("similarity", SEED).nth(masking));
            let losses = hidden_word_losses(&self.model, &self.parameters, &asked, 32);
            for (text, own) in by_text.iter_mut().zip(losses) {
                text.sum += own.iter().sum::<f64>();
                text.words += own.len();
            }
        }
        by_text
    }
}

/// The words of a text that were hidden.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HiddenWords {
    /// The sum of their losses, in nats.
    pub(crate) sum: f64,
    /// How many they were.
    pub(crate) words: usize,
}

impl HiddenWords {
    /// The mean loss of the hidden words of these texts; none when no word was hidden.
    pub(crate) fn mean<'a>(texts: impl IntoIterator<Item = &'a Self>) -> Option<f64> {
        let add = |(sum, words): (f64, usize), text: &Self| (sum + text.sum, words + text.words);
        let (sum, words) = texts.into_iter().fold((0.0, 0), add);
        (words > 0).then(|| sum / words as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_hidden_word_there_is_no_mean() {
        let [none, some] = [(0.0, 0), (6.0, 3)].map(|(sum, words)| HiddenWords { sum, words });
        assert_eq!(HiddenWords::mean(&[]), None);
        assert_eq!(HiddenWords::mean(&[none, none]), None);
        assert_eq!(HiddenWords::mean(&[none, some]), Some(2.0), "a text without a hidden word weighs nothing");
    }
}

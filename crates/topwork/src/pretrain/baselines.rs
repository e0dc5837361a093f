//! What counting alone knows of hidden words: a model that guesses by frequency, and one that knows the word before.

use std::collections::HashMap;

use topwork_data::{PassageOrder, TokenStore};

use crate::error::Error;
use crate::tasks::objectives::Question;
use crate::tasks::pretraining_problem::ObjectiveScores;

/// More text is not counted: pairs of tokens take memory, and the counts hardly change any more.
const MOST_TOKENS: usize = 50_000_000;

/// Counts the training text and answers the questions about hidden words: by the tokens' frequencies (with one added to
/// each), and by the token before, smoothed with the frequencies as Witten and Bell (1991) do. The token before is the
/// true one even where it is hidden as well, so the second is a little too good.
///
/// # Errors
/// When the tokens cannot be read.
pub fn measure(
    train: &TokenStore,
    max_passage: usize,
    start: u32,
    vocabulary: usize,
    questions: &[Question],
) -> Result<[ObjectiveScores; 2], Error> {
    let counts = Counts::of(train, max_passage, start, vocabulary)?;
    let mut scores = ["unigram", "bigram"].map(|objective| ObjectiveScores {
        objective,
        loss: 0.0,
        accuracy: 0.0,
        questions: questions.iter().map(|question| question.hidden.len()).sum(),
    });
    let favourite = counts.favourites();
    let most_frequent = (0..vocabulary as u32).max_by_key(|&id| (counts.unigrams[id as usize], u32::MAX - id));
    for question in questions {
        let mut ids = question.ids.clone();
        question.hidden.iter().for_each(|&(position, was)| ids[position as usize] = was);
        for &(position, was) in &question.hidden {
            let before = ids[position as usize - 1];
            let before = if position == 1 { start } else { before };
            scores[0].loss -= counts.unigram(was).ln();
            scores[1].loss -= counts.bigram(before, was).ln();
            scores[0].accuracy += f64::from(Some(was) == most_frequent);
            scores[1].accuracy += f64::from(Some(was) == favourite.get(&before).copied().or(most_frequent));
        }
    }
    for scores in &mut scores {
        scores.loss /= scores.questions as f64;
        scores.accuracy /= scores.questions as f64;
    }
    Ok(scores)
}

struct Counts {
    unigrams: Vec<u64>,
    total: u64,
    /// By the token before and the token.
    bigrams: HashMap<(u32, u32), u64>,
    /// For the token before: how many tokens followed it, and how many different ones.
    followers: HashMap<u32, (u64, u64)>,
}

impl Counts {
    fn of(train: &TokenStore, max_passage: usize, start: u32, vocabulary: usize) -> Result<Self, Error> {
        let mut counts =
            Self { unigrams: vec![0; vocabulary], total: 0, bigrams: HashMap::new(), followers: HashMap::new() };
        let mut tokens = 0;
        for passage in train.passages(max_passage, PassageOrder::AsStored)? {
            let passage = passage?;
            let mut before = start;
            for &id in &passage.ids {
                counts.unigrams[id as usize] += 1;
                let pair = counts.bigrams.entry((before, id)).or_default();
                let (followed, different) = counts.followers.entry(before).or_default();
                *followed += 1;
                *different += u64::from(*pair == 0);
                *pair += 1;
                before = id;
            }
            tokens += passage.ids.len();
            if tokens >= MOST_TOKENS {
                break;
            }
        }
        counts.total = tokens as u64;
        Ok(counts)
    }

    fn unigram(&self, id: u32) -> f64 {
        (self.unigrams[id as usize] + 1) as f64 / (self.total + self.unigrams.len() as u64) as f64
    }

    fn bigram(&self, before: u32, id: u32) -> f64 {
        let Some(&(followed, different)) = self.followers.get(&before) else { return self.unigram(id) };
        let pair = self.bigrams.get(&(before, id)).copied().unwrap_or(0);
        (pair as f64 + different as f64 * self.unigram(id)) / (followed + different) as f64
    }

    /// What most often follows each token.
    fn favourites(&self) -> HashMap<u32, u32> {
        let mut best: HashMap<u32, (u64, u32)> = HashMap::new();
        for (&(before, id), &count) in &self.bigrams {
            let own = best.entry(before).or_insert((count, id));
            // The smaller id among equals, whatever the order of the map.
            if (count, u32::MAX - id) > (own.0, u32::MAX - own.1) {
                *own = (count, id);
            }
        }
        best.into_iter().map(|(before, (_, id))| (before, id)).collect()
    }
}

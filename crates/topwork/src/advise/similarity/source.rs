//! What the labelled texts are compared with: files, what the model's profile holds, or general English; and the texts drawn of it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use topwork_data::{Corpus, CorpusOptions, CorpusPart, DataError, Example, Stream};
use topwork_models::SEEDLING_PROFILE;

use super::{SEED, count_words, example};
use crate::error::Error;
use crate::session::inputs::Inputs;
use crate::session::profile::OwnProfile;
use crate::session::profile::PROFILE;
use crate::session::retained::{LEAST_OWN, general_english};
use crate::words::is_unspaced;

/// Texts of the source at least.
const FEWEST_TEXTS: usize = 4;
/// Short texts in a row that are taken as one document, so that texts longer than each can be cut from it.
const JOINED: usize = 8;
/// What the labelled texts are compared with.
pub(super) struct Source {
    /// In words.
    pub(super) name: String,
    pub(super) halves: Option<Halves>,
    /// How often its words occur, and whose they are.
    pub(super) counts: HashMap<String, u64>,
    pub(super) counted: &'static str,
}

/// Two disjoint samples of the source, of texts as long as the labelled ones.
pub(super) struct Halves {
    pub(super) first: Vec<Example>,
    pub(super) second: Vec<Example>,
}

impl Source {
    /// The texts of `files`.
    pub(super) fn read(files: &[PathBuf], own: &[Example]) -> Result<Self, Error> {
        let corpus = Corpus::read(files, &CorpusOptions { seed: SEED, ..CorpusOptions::default() }, &mut |_| {})?;
        let (halves, counts) = halve(corpus.documents(CorpusPart::Train), own)?;
        if halves.is_none() {
            let message = format!("{}: expected at least {FEWEST_TEXTS} texts to compare with", files[0].display());
            return Err(Error::run(message, "a longer --source-text"));
        }
        let name = files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        Ok(Self { name, halves, counts, counted: "the source" })
    }

    /// The model's own profile and, of what that lacks, general English. What is wrong with the profile goes to `missing`.
    pub(super) fn known(inputs: &Inputs, own: &[Example], missing: &mut Vec<String>) -> Result<Self, Error> {
        let carried = OwnProfile::parse(SEEDLING_PROFILE)
            .map_err(|error| Error::run(format!("the carried {PROFILE}: {error}"), "report this"))?;
        let general = |why: &str| (general_english(), format!("general English ({why})"));
        let (profile, (texts, name)) = match OwnProfile::read(&inputs.source) {
            Ok(Some(profile)) if profile == carried => (None, general("on which the carried model was pre-trained")),
            Ok(Some(mut profile)) => {
                let texts = profile.sample.take().unwrap_or_default();
                let found = texts.len();
                let texts = match found < LEAST_OWN {
                    true => {
                        general(&format!("the model's own {PROFILE} holds {found} texts, and {LEAST_OWN} are needed"))
                    }
                    false => (texts, format!("the texts in the model's own {PROFILE}")),
                };
                (Some(profile), texts)
            }
            Ok(None) => (None, general("a guess: the model does not say what it was pre-trained on")),
            Err(message) => {
                missing.push(format!("the distance from the model's own texts: {message}"));
                (None, general("a guess: the model's own profile cannot be read"))
            }
        };
        let (counts, counted) = match profile {
            Some(profile) if !profile.unigrams.is_empty() => (profile.unigrams, "its pre-training"),
            _ => (carried.unigrams, "general English"),
        };
        let (halves, _) = halve(joined_texts(&texts), own)?;
        Ok(Self { name, halves, counts: counts.into_iter().collect(), counted })
    }
}

/// Short texts as documents.
fn joined_texts(texts: &[String]) -> impl Iterator<Item = Result<String, DataError>> {
    texts.chunks(JOINED).map(|texts| Ok(texts.join(" ")))
}

/// What a text is counted in, and what stands between: words and a space, or letters and nothing where words are not parted by
/// spaces.
fn units(text: &str) -> (Vec<&str>, &'static str) {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    if 2 * text.chars().filter(|c| is_unspaced(*c)).count() > letters {
        return (text.char_indices().map(|(at, letter)| &text[at..at + letter.len_utf8()]).collect(), "");
    }
    (text.split_whitespace().collect(), " ")
}

/// A text drawn from the source.
struct Drawn {
    document: usize,
    /// Its place among the texts of all documents.
    place: u64,
    text: String,
}

/// Draws texts of the source's documents that are as long as the labelled ones, and counts its words. None where there are too few
/// texts. A document's texts are of one half: otherwise the halves would be nearer to each other than two texts of the same kind are.
/// Only the document on which the middle falls is in both, and a source of one document is cut there.
fn halve(
    documents: impl Iterator<Item = Result<String, DataError>>,
    own: &[Example],
) -> Result<(Option<Halves>, HashMap<String, u64>), Error> {
    let lengths: Vec<usize> = own.iter().map(|example| units(&example.text).0.len().max(1)).collect();
    let known: HashSet<&str> = own.iter().map(|example| example.text.as_str()).collect();
    let mut counts = HashMap::new();
    let mut stream = Stream::named("source texts", SEED);
    let wanted = 2 * own.len();
    // Each text of the source is drawn with the same chance (Vitter, "Random Sampling with a Reservoir", 1985).
    let (mut drawn, mut met): (Vec<Drawn>, u64) = (Vec::with_capacity(wanted), 0);
    let mut number = 0;
    for document in documents {
        let document = document?;
        count_words(&document, &mut counts);
        let (units, between) = units(&document);
        let mut start = 0;
        while start < units.len() {
            let length = lengths[stream.below(lengths.len() as u64) as usize];
            let end = (start + length).min(units.len());
            let text = units[start..end].join(between);
            // What is left at the end of a document is no text as long as the labelled ones; a short document is what it is.
            let is_rest = start > 0 && 2 * (end - start) < length;
            start = end;
            if is_rest || text.trim().is_empty() || known.contains(text.as_str()) {
                continue;
            }
            let text = Drawn { document: number, place: met, text };
            met += 1;
            if drawn.len() < wanted {
                drawn.push(text);
            } else {
                let place = stream.below(met) as usize;
                if let Some(slot) = drawn.get_mut(place) {
                    *slot = text;
                }
            }
        }
        number += 1;
    }
    if drawn.len() < FEWEST_TEXTS {
        return Ok((None, counts));
    }
    let mut order: Vec<usize> = (0..number).collect();
    Stream::named("halves", SEED).shuffle(&mut order);
    drawn.sort_by_key(|text| (order[text.document], text.place));
    let second = drawn.split_off(drawn.len() / 2);
    let examples = |texts: Vec<Drawn>| texts.into_iter().map(|drawn| example(drawn.text)).collect();
    Ok((Some(Halves { first: examples(drawn), second: examples(second) }), counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_lies_in_one_half() {
        let target = (0..12).map(|row| example(format!("three words {row}"))).collect::<Vec<_>>();
        // Of 31 words the last is left over.
        let document = |name: usize| Ok(vec![format!("d{name}"); 31].join(" "));
        let (halves, counts) = halve((0..7).map(document), &target).unwrap();
        let halves = halves.unwrap();
        assert_eq!((halves.first.len(), halves.second.len()), (12, 12));
        assert!(halves.first.iter().chain(&halves.second).all(|text| text.text.split(' ').count() == 3));
        let names = |half: &[Example]| -> std::collections::BTreeSet<String> {
            half.iter().map(|text| text.text.split(' ').next().unwrap().to_string()).collect()
        };
        // At most the one that lies across the middle.
        assert!(names(&halves.first).intersection(&names(&halves.second)).count() <= 1);
        assert_eq!(counts.values().sum::<u64>(), 7 * 31);
        assert!(halve((0..1).map(|_| Ok("three words only".to_string())), &target).unwrap().0.is_none());
    }

    #[test]
    fn texts_of_general_english_are_as_long_as_long_texts() {
        let long = (0..20).map(|row| example(format!("{row} {}", "word ".repeat(199).trim_end()))).collect::<Vec<_>>();
        let halves = halve(joined_texts(&general_english()), &long).unwrap().0.unwrap();
        assert!(halves.first.len() >= 15 && halves.second.len() >= 15);
        let length = |text: &Example| text.text.split(' ').count();
        assert!(halves.first.iter().chain(&halves.second).all(|text| (100..=200).contains(&length(text))));
    }

    #[test]
    fn words_are_units_where_they_are_parted() {
        assert_eq!(units("I\twas"), (vec!["I", "was"], " "));
        assert_eq!(units("房间比较差").0.len(), 5);
        let thai = "ผมไปตลาด แล้วกลับ";
        let (letters, between) = units(thai);
        assert_eq!(letters.join(between), thai);
    }
}

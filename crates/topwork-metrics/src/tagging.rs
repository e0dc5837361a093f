//! Entities of tag sequences and their scores, as the package `seqeval` gives them by default.
//!
//! The tags are those of words, such as `B-PER I-PER O`: a letter, a hyphen, a type. Entities are found leniently, as
//! `conlleval` does (Tjong Kim Sang and Buchholz, "Introduction to the CoNLL-2000 Shared Task: Chunking", 2000): `B` and
//! `S` begin one, `I` and `E` go on with one of the same type or begin one, `E` and `S` end one, and another type always
//! begins a new one. So IOB1, IOB2 and IOBES need not be told apart. Of BILOU `L` is `E` and `U` is `S`, and of BMES and
//! BMEWO `M` is `I` and `W` is `S`: seqeval by default knows these letters not, and takes neighbours such as `U-PER U-PER`
//! for one entity. A bare `B` or `I` is of the type `_`. Where there is an `O` and no tag has a letter before it, such as
//! `O PER LOC`, neighbours with the same tag are an entity. Other plain tags such as `NOUN` mark none:
//! [`Tagging::has_entities`] tells whether entities make sense; where they do not, [`EntityReport::accuracy`] does.
//!
//! Tags are ids into the names that a [`Tagging`] was made of. An id without a name is outside of entities.

use std::collections::BTreeMap;
use std::collections::HashSet;

use crate::metric::{Metric, TaskScores};

/// The tags of a task, taken apart.
#[derive(Clone, Debug)]
pub struct Tagging {
    tags: Vec<Tag>,
    types: Vec<String>,
    has_entities: bool,
}

/// Some words of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entity {
    /// Which of [`Tagging::types`] it is.
    pub kind: usize,
    /// Its first word, from 0 on.
    pub first: usize,
    /// Its last word, which it holds.
    pub last: usize,
}

/// How the entities found compare with the true ones. What would be divided by zero is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EntityScores {
    /// The part of those found that are right.
    pub precision: f64,
    /// The part of the true ones that are found.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// How many are true.
    pub support: usize,
}

/// The scores of some sentences.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityReport {
    /// Of all entities together.
    pub micro: EntityScores,
    /// The plain mean over the types that occur, true or found; NaN when none does.
    pub macro_mean: EntityScores,
    /// The mean over the types, weighted by how many are true.
    pub weighted: EntityScores,
    /// Of each type that occurs, in alphabetical order.
    pub by_type: Vec<(String, EntityScores)>,
    /// The part of the words with the right tag; NaN without words.
    pub accuracy: f64,
    /// How many words were compared.
    pub words: usize,
}

/// What a tag does, and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag {
    place: Place,
    kind: usize,
}

/// The letter before the hyphen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Begin,
    Inside,
    End,
    Single,
    Outside,
    /// A point, after which `I` goes on where it begins after `O`.
    Point,
    Other,
}

impl Tagging {
    /// Takes the names of the tags apart, in the order of their ids.
    pub fn new<S: AsRef<str>>(names: &[S]) -> Self {
        let marks = Marks::of(names);
        // The type of a tag without one, which is also that of `O`.
        let mut types = vec!["_".to_string()];
        let mut tags = Vec::with_capacity(names.len());
        for name in names {
            let mut letters = name.as_ref().chars();
            let place = match letters.next() {
                Some('B') => Place::Begin,
                Some('I') => Place::Inside,
                Some('E') => Place::End,
                Some('S') => Place::Single,
                Some('L') if marks == Marks::Letters => Place::End,
                Some('U' | 'W') if marks == Marks::Letters => Place::Single,
                Some('M') if marks == Marks::Letters => Place::Inside,
                Some('.') => Place::Point,
                Some('O') | None => Place::Outside,
                Some(_) => Place::Other,
            };
            let place = if marks == Marks::Runs && name.as_ref() != "O" { Place::Other } else { place };
            let rest = letters.as_str();
            let kind = match (marks, rest.split_once('-').map_or(rest, |(_, kind)| kind)) {
                (Marks::Runs, _) if name.as_ref() != "O" => name.as_ref(),
                (_, "") => "_",
                (_, kind) => kind,
            };
            let kind = types.iter().position(|known| known == kind).unwrap_or_else(|| {
                types.push(kind.to_string());
                types.len() - 1
            });
            tags.push(Tag { place, kind });
        }
        Self { tags, types, has_entities: marks != Marks::Nothing }
    }

    /// The types of entities; `_` is that of tags that name none.
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// Whether the tags mark entities: each is `O`, or a letter of a scheme alone or with a hyphen and a type, and not all are
    /// `O`; or one is `O` and all others are names without such a letter.
    pub fn has_entities(&self) -> bool {
        self.has_entities
    }

    /// The entities of one sentence, from its first word to its last.
    pub fn entities(&self, tags: &[u32]) -> Vec<Entity> {
        let mut found = Vec::new();
        self.each_entity(tags.iter().copied(), |entity| found.push(entity));
        found
    }

    fn tag(&self, id: u32) -> Tag {
        self.tags.get(id as usize).copied().unwrap_or(OUTSIDE)
    }

    fn each_entity(&self, tags: impl Iterator<Item = u32>, mut found: impl FnMut(Entity)) {
        // Before the first word there is no type, not even that of `O`.
        let mut before = Tag { place: Place::Outside, kind: usize::MAX };
        let mut first = 0;
        for (word, tag) in tags.map(|id| self.tag(id)).chain([OUTSIDE]).enumerate() {
            let is_other_type = before.kind != tag.kind;
            if ends(before.place, tag.place, is_other_type) {
                found(Entity { kind: before.kind, first, last: word - 1 });
            }
            if starts(before.place, tag.place, is_other_type) {
                first = word;
            }
            before = tag;
        }
    }
}

const OUTSIDE: Tag = Tag { place: Place::Outside, kind: 0 };

/// How tags mark entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marks {
    /// By a letter that says where in the entity a word stands.
    Letters,
    /// By the same tag from the first word to the last.
    Runs,
    /// Not at all.
    Nothing,
}

impl Marks {
    fn of<S: AsRef<str>>(names: &[S]) -> Self {
        let is_outside = |name: &str| name == "O";
        let is_letter = |letter: &str| matches!(letter, "B" | "I" | "E" | "S" | "L" | "U" | "M" | "W");
        let has_letter = |name: &str| match name.split_once('-') {
            Some((letter, kind)) => is_letter(letter) && !kind.is_empty(),
            None => is_letter(name),
        };
        let mut others = names.iter().map(AsRef::as_ref).filter(|name| !is_outside(name)).peekable();
        if others.peek().is_none() {
            return Self::Nothing;
        }
        let others: Vec<&str> = others.collect();
        // A single letter may be a part of speech as well.
        let is_name = |name: &&str| name.chars().count() > 1 && !has_letter(name) && !name.ends_with('-');
        match others.len() < names.len() {
            _ if others.iter().all(|name| has_letter(name)) => Self::Letters,
            true if others.iter().all(is_name) => Self::Runs,
            _ => Self::Nothing,
        }
    }
}

/// seqeval's `end_of_chunk`.
fn ends(before: Place, now: Place, is_other_type: bool) -> bool {
    use Place::{Begin, End, Inside, Outside, Point, Single};
    match before {
        End | Single => true,
        Begin | Inside if matches!(now, Begin | Single | Outside) => true,
        Outside | Point => false,
        _ => is_other_type,
    }
}

/// seqeval's `start_of_chunk`.
fn starts(before: Place, now: Place, is_other_type: bool) -> bool {
    use Place::{Begin, End, Inside, Outside, Point, Single};
    match now {
        Begin | Single => true,
        Inside | End if matches!(before, End | Single | Outside) => true,
        Outside | Point => false,
        _ => is_other_type,
    }
}

/// The scores of sentences, given as pairs of their true and their predicted tags; of unequal lengths the shorter counts.
pub fn entity_report<'a>(
    tagging: &Tagging,
    sentences: impl IntoIterator<Item = (&'a [u32], &'a [u32])>,
) -> EntityReport {
    let mut counts = vec![Counts::default(); tagging.types.len()];
    let (mut words, mut right_words) = (0, 0);
    let mut true_ones = HashSet::new();
    for (gold, predicted) in sentences {
        let length = gold.len().min(predicted.len());
        let (gold, predicted) = (&gold[..length], &predicted[..length]);
        words += length;
        right_words += gold.iter().zip(predicted).filter(|(gold, predicted)| gold == predicted).count();
        true_ones.clear();
        tagging.each_entity(gold.iter().copied(), |entity| {
            true_ones.insert(entity);
            counts[entity.kind].gold += 1;
        });
        tagging.each_entity(predicted.iter().copied(), |entity| {
            counts[entity.kind].predicted += 1;
            counts[entity.kind].right += usize::from(true_ones.contains(&entity));
        });
    }
    let all = counts.iter().fold(Counts::default(), |sum, own| Counts {
        right: sum.right + own.right,
        gold: sum.gold + own.gold,
        predicted: sum.predicted + own.predicted,
    });
    let occurring = tagging.types.iter().zip(&counts).filter(|(_, own)| own.gold + own.predicted > 0);
    let by_type: BTreeMap<&String, EntityScores> = occurring.map(|(kind, own)| (kind, own.scores())).collect();
    EntityReport {
        micro: all.scores(),
        macro_mean: weighted_mean(by_type.values().map(|scores| (1, *scores)), f64::NAN),
        weighted: weighted_mean(by_type.values().map(|scores| (scores.support, *scores)), 0.0),
        by_type: by_type.into_iter().map(|(kind, scores)| (kind.clone(), scores)).collect(),
        accuracy: right_words as f64 / words as f64,
        words,
    }
}

/// The scores of a tagger beside its `loss`, which only the caller knows: F1, precision and recall of all entities, and
/// the accuracy of the words.
pub fn evaluate<'a>(
    tagging: &Tagging,
    sentences: impl IntoIterator<Item = (&'a [u32], &'a [u32])>,
    loss: f64,
) -> TaskScores {
    let report = entity_report(tagging, sentences);
    TaskScores {
        loss,
        values: vec![
            (Metric::EntityF1, report.micro.f1),
            (Metric::EntityPrecision, report.micro.precision),
            (Metric::EntityRecall, report.micro.recall),
            (Metric::Accuracy, report.accuracy),
        ],
    }
}

/// Entities that are right, true, and found.
#[derive(Clone, Copy, Default)]
struct Counts {
    right: usize,
    gold: usize,
    predicted: usize,
}

impl Counts {
    fn scores(self) -> EntityScores {
        let part = |of: usize| if of == 0 { 0.0 } else { self.right as f64 / of as f64 };
        let (precision, recall) = (part(self.predicted), part(self.gold));
        let both = precision + recall;
        let f1 = if both == 0.0 { 0.0 } else { 2.0 * precision * recall / both };
        EntityScores { precision, recall, f1, support: self.gold }
    }
}

/// The mean with weights; `without` where there is no weight. The support is the sum.
fn weighted_mean(scores: impl Iterator<Item = (usize, EntityScores)>, without: f64) -> EntityScores {
    let mut sum = EntityScores::default();
    let mut weights = 0;
    for (weight, scores) in scores {
        let of = |value: f64| weight as f64 * value;
        weights += weight;
        sum.precision += of(scores.precision);
        sum.recall += of(scores.recall);
        sum.f1 += of(scores.f1);
        sum.support += scores.support;
    }
    let mean = |sum: f64| if weights == 0 { without } else { sum / weights as f64 };
    EntityScores { precision: mean(sum.precision), recall: mean(sum.recall), f1: mean(sum.f1), support: sum.support }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::bootstrap::Draws;
    use crate::oracle::{fixture, near};

    fn spans(names: &[&str]) -> Vec<(String, usize, usize)> {
        let tagging = Tagging::new(names);
        let ids: Vec<u32> = (0..names.len() as u32).collect();
        let named = |entity: Entity| (tagging.types()[entity.kind].clone(), entity.first, entity.last);
        tagging.entities(&ids).into_iter().map(named).collect()
    }

    fn texts(value: &Value) -> Vec<&str> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
    }

    #[test]
    fn entities_are_those_of_seqeval() {
        let fixture = fixture("metrics.json");
        let cases = fixture["entities"].as_array().unwrap();
        let mut compared = 0;
        for case in cases {
            let tags = texts(&case["tags"]);
            if !is_read_as_seqeval(&tags) {
                continue;
            }
            compared += 1;
            let expected: Vec<(String, usize, usize)> = serde_json::from_value(case["entities"].clone()).unwrap();
            assert_eq!(spans(&tags), expected, "{tags:?}");
        }
        assert!(compared > 250, "{compared}");
    }

    /// The letters of BILOU, and names without a letter, mean less to seqeval.
    fn is_read_as_seqeval(names: &[&str]) -> bool {
        let has_others = names.iter().any(|name| name.starts_with(['L', 'U', 'M', 'W']));
        match Marks::of(names) {
            Marks::Letters => !has_others,
            Marks::Runs => false,
            Marks::Nothing => true,
        }
    }

    #[test]
    fn neighbours_of_bilou_and_of_bmes_are_entities_of_their_own_as_of_iobes() {
        let schemes = [
            ("S-A S-A S-B", ["U-A U-A U-B", "W-A W-A W-B"]),
            ("B-A E-A B-A E-A", ["B-A L-A B-A L-A", "B-A E-A B-A E-A"]),
            ("B-A I-A E-A O S-A B-A E-A", ["B-A I-A L-A O U-A B-A L-A", "B-A M-A E-A O W-A B-A E-A"]),
        ];
        for (iobes, others) in schemes {
            let of = |tags: &str| spans(&tags.split(' ').collect::<Vec<_>>());
            assert!(of(iobes).len() > 1, "{iobes}");
            for other in others {
                assert_eq!(of(other), of(iobes), "{other}");
            }
        }
    }

    #[test]
    fn names_beside_an_o_are_entities_as_far_as_they_go_and_bare_letters_have_no_type() {
        let found = |kind: &str, first, last| (kind.to_string(), first, last);
        assert_eq!(
            spans(&["PER", "PER", "O", "LOC", "PER"]),
            [found("PER", 0, 1), found("LOC", 3, 3), found("PER", 4, 4)]
        );
        assert_eq!(spans(&["B", "I", "B", "O", "B"]), [found("_", 0, 1), found("_", 2, 2), found("_", 4, 4)]);
    }

    #[test]
    fn scores_are_those_of_seqeval() {
        for case in fixture("metrics.json")["tagging"].as_array().unwrap() {
            let names = texts(&case["names"]);
            if !is_read_as_seqeval(&names) {
                continue;
            }
            let tagging = Tagging::new(&names);
            let ids = |value: &Value| -> Vec<Vec<u32>> { serde_json::from_value(value.clone()).unwrap() };
            let (gold, predicted) = (ids(&case["gold"]), ids(&case["predicted"]));
            let pairs = || gold.iter().map(Vec::as_slice).zip(predicted.iter().map(Vec::as_slice));
            let report = entity_report(&tagging, pairs());
            let check = |scores: EntityScores, expected: &Value| {
                near(scores.precision, &expected["precision"], 1e-12);
                near(scores.recall, &expected["recall"], 1e-12);
                near(scores.f1, &expected["f1"], 1e-12);
                assert_eq!(scores.support as u64, expected["support"].as_u64().unwrap());
            };
            check(report.micro, &case["micro"]);
            check(report.macro_mean, &case["macro"]);
            check(report.weighted, &case["weighted"]);
            near(report.accuracy, &case["accuracy"], 1e-12);
            let by_type = case["by_type"].as_object().unwrap();
            assert_eq!(report.by_type.len(), by_type.len());
            for (kind, scores) in &report.by_type {
                check(*scores, &by_type[kind]);
            }
            let scores = evaluate(&tagging, pairs(), 0.5);
            assert_eq!(scores.iter().map(|(metric, _)| metric).collect::<Vec<_>>(), Metric::TAGGING);
            near(scores.get(Metric::EntityF1).unwrap(), &case["micro"]["f1"], 1e-12);
        }
    }

    #[test]
    fn letters_of_a_scheme_and_names_beside_an_o_mark_entities() {
        let has = |names: &[&str]| Tagging::new(names).has_entities();
        assert!(
            has(&["O", "B-PER", "I-PER"])
                && has(&["U-A", "L-A", "I-B-C"])
                && has(&["O", "B", "I"])
                && has(&["O", "PER"])
        );
        assert!(!has(&["NOUN", "VERB"]) && !has(&["O"]) && !has(&[]) && !has(&["B-", "O"]));
        assert!(!has(&["NOUN", "O", "V", "!"]), "parts of speech may have an O, too");
    }

    #[test]
    fn ids_without_a_name_and_unequal_lengths_do_not_matter() {
        let tagging = Tagging::new(&["O", "B-X", ""]);
        assert_eq!(tagging.entities(&[9, 1, 9, 2, 1]).len(), 2);
        let report = entity_report(&tagging, [(&[1_u32, 0, 1][..], &[1_u32, 0][..])]);
        assert_eq!((report.micro.f1, report.micro.support, report.words), (1.0, 1, 2));
        let none = entity_report(&tagging, []);
        assert!(none.accuracy.is_nan() && none.macro_mean.f1.is_nan() && none.by_type.is_empty());
        assert_eq!((none.micro.f1, none.weighted.f1), (0.0, 0.0));
    }

    #[test]
    fn fourteen_thousand_sentences_are_quick() {
        let names = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-MISC", "I-MISC"];
        let mut draws = Draws::new(1);
        let mut sentences = || -> Vec<Vec<u32>> {
            (0..14_000).map(|_| (0..15).map(|_| draws.below(names.len()) as u32).collect()).collect()
        };
        let (gold, predicted) = (sentences(), sentences());
        let started = std::time::Instant::now();
        let pairs = gold.iter().map(Vec::as_slice).zip(predicted.iter().map(Vec::as_slice));
        let report = entity_report(&Tagging::new(&names), pairs);
        assert!(report.micro.support > 100_000);
        // Measured: a few hundredths of a second. Seconds would mean that work grows with the square of the sentences.
        assert!(started.elapsed().as_secs_f64() < 5.0, "{:?}", started.elapsed());
    }
}

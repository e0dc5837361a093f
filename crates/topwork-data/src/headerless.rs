//! Files whose first record is a row, not the names of the columns.

use std::collections::{BTreeMap, BTreeSet};

/// What the columns of a file without a header most likely are, by their numbers from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeaderlessColumns {
    pub(crate) text: usize,
    pub(crate) label: Option<usize>,
}

/// The columns of `records`, the first of a file, if the first of them looks like the others: if one of its fields is a number, is a
/// text of many words, or stands in its column again and again.
pub(crate) fn headerless(records: &[Vec<String>]) -> Option<HeaderlessColumns> {
    let (first, rest) = records.split_first()?;
    if rest.is_empty() || first.is_empty() {
        return None;
    }
    let is_number = |field: &String| field.trim().parse::<f64>().is_ok();
    let is_long = |field: &String| field.split_whitespace().count() > MOST_WORDS;
    let recurs = |(place, field): (usize, &String)| {
        let same = rest.iter().filter(|record| record.get(place) == Some(field)).count();
        !field.trim().is_empty() && same > 0
    };
    if !(first.iter().any(is_number) || first.iter().any(is_long) || first.iter().enumerate().any(recurs)) {
        return None;
    }
    let columns: BTreeMap<usize, Vec<&String>> = (0..first.len())
        .map(|place| (place, records.iter().filter_map(|record| record.get(place)).collect()))
        .collect();
    let length = |place: &usize| columns[place].iter().map(|field| field.chars().count()).sum::<usize>();
    let text = (0..first.len()).max_by_key(|place| (length(place), first.len() - place))?;
    let different = |place: &usize| columns[place].iter().collect::<BTreeSet<_>>().len();
    let label = (0..first.len())
        .filter(|place| *place != text && different(place) > 1 && 2 * different(place) <= records.len())
        .min_by_key(|place| (different(place), *place));
    Some(HeaderlessColumns { text: text + 1, label: label.map(|place| place + 1) })
}

/// The name of a column has hardly more words.
const MOST_WORDS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn records(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|field| (*field).to_string()).collect()).collect()
    }

    #[test]
    fn a_first_row_is_told_from_column_names() {
        let cases: [(&[&[&str]], _); 5] = [
            (&[&["my phone", "bad"], &["a bill", "good"], &["x", "bad"], &["y", "good"]], Some((1, Some(2)))),
            (
                &[&["0", "17", "long text here"], &["4", "18", "other text"], &["4", "19", "more"], &["0", "9", "x"]],
                Some((3, Some(1))),
            ),
            (&[&["the whole thing fell apart at once", "b"], &["fine", "a"]], Some((1, None))),
            (&[&["comment", "sentiment"], &["a bill", "good"], &["x", "bad"], &["y", "good"]], None),
            (&[&["comment", "sentiment"]], None),
        ];
        for (rows, expected) in cases {
            let found = headerless(&records(rows)).map(|columns| (columns.text, columns.label));
            assert_eq!(found, expected, "{rows:?}");
        }
    }
}

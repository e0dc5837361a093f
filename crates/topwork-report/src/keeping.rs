//! What training did to what the model knew: how far each block moved, and what it forgot.

use topwork::judge::forgetting::BeforeAfter;
use topwork::tune::results::Results;

use crate::metric_text::{bar_alone, number};
use crate::page::{Column, Table, escaped, list, percent, short};

/// A row for each block: whether it was trained, how far it moved, how much of what it says is the same.
pub(crate) fn layers(results: &Results) -> String {
    let forgetting = &results.verdict.forgetting;
    if forgetting.drift.is_empty() {
        return "<p>The results do not say how far each block moved.</p>\n".to_string();
    }
    let farthest = forgetting.drift.iter().map(|block| block.drift).fold(f64::MIN_POSITIVE, f64::max);
    // Nothing was compared where there was nothing to forget.
    let is_compared = !forgetting.cka.is_empty();
    let mut columns = vec![Column::text("block"), Column::text("state"), Column::number("drift")];
    columns.extend(is_compared.then(|| Column::number("CKA before and after")));
    let mut table = Table::new("From the input to the output", columns);
    for block in &forgetting.drift {
        let cka = place_of(&block.block).and_then(|place| forgetting.cka.get(place).copied().flatten());
        let drift = match block.trained {
            true => short(block.drift) + &bar_alone(block.drift / farthest, None, false),
            false => "0".to_string() + &bar_alone(0.0, None, false),
        };
        let cka = cka.map_or("–".to_string(), |cka| format!("{cka:.3}") + &bar_alone(cka, None, true));
        let cells = [escaped(&block.block), if block.trained { "trained" } else { "frozen" }.to_string(), drift];
        table.row(cells.into_iter().chain(is_compared.then_some(cka)));
    }
    let about_cka = match is_compared {
        true => format!(
            " CKA: 1 where the vectors of {} texts ({}) are the same up to rotation and scale.",
            forgetting.texts,
            escaped(&forgetting.source)
        ),
        false => String::new(),
    };
    format!(
        "<h3>How far each block moved</h3>\n{}<p class=quiet>Drift: ‖θ − θ₀‖ / ‖θ₀‖ over the weights of a block.{about_cka}</p>\n",
        table.html()
    )
}

/// Where a block's output stands among those that were compared.
fn place_of(block: &str) -> Option<usize> {
    match block.strip_prefix("layer ") {
        Some(number) => Some(number.parse::<usize>().ok()? + 1),
        None => (block == "embeddings").then_some(0),
    }
}

/// What the model still knows.
pub(crate) fn kept(results: &Results) -> String {
    let forgetting = &results.verdict.forgetting;
    let mut table = Table::new(
        format!("On {} {}", forgetting.texts, escaped(&forgetting.source)),
        vec![Column::text("measure"), Column::number("before"), Column::number("after")],
    );
    let is_compared = !forgetting.cka.is_empty();
    let both = |name: &str, found: Option<BeforeAfter>, say: fn(f64) -> String| {
        found.map(|BeforeAfter { before, after }| [name.to_string(), say(before), say(after)])
    };
    let rows = [
        both("loss of hidden words, nats", forgetting.masked_lm_loss, number),
        both("accuracy on the earlier task", forgetting.old_task_accuracy, percent),
        // Too few texts have no value.
        is_compared.then(|| {
            let agreement = forgetting.neighbour_agreement.map_or("no value".to_string(), percent);
            ["nearest neighbours that are the same".to_string(), "–".to_string(), agreement]
        }),
        is_compared.then(|| {
            let cka =
                forgetting.cka.last().copied().flatten().map_or("no value".to_string(), |cka| format!("{cka:.3}"));
            ["CKA of the last layer".to_string(), "–".to_string(), cka]
        }),
    ];
    rows.into_iter().flatten().for_each(|row| table.row(row));
    let measured = if table.rows.is_empty() { String::new() } else { table.html() };
    let missing = list(forgetting.missing.iter().map(|missing| escaped(missing)));
    let missing = if missing.is_empty() { missing } else { format!("<p>Not measured:</p>\n{missing}") };
    let sentence = match (forgetting.sentence.as_str(), missing.is_empty()) {
        ("", true) => "<p>The results do not say what was kept.</p>\n".to_string(),
        ("", false) => String::new(),
        (sentence, _) => format!("<p>{}.</p>\n", escaped(sentence)),
    };
    match measured.is_empty() {
        true => sentence + &missing,
        false => measured + &missing,
    }
}

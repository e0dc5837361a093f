//! Pieces of a page that needs nothing else: texts that cannot break out of it, tables that can be read aloud, pictures.

use std::fmt::Write;

use crate::phrases::turns_direction;

/// How a page looks.
const STYLE: &str = include_str!("style.css");
/// Letters of a label or a file's name in a table.
const NAME_LETTERS: usize = 80;
/// Letters of the whole name that is shown on asking.
const WHOLE_LETTERS: usize = 500;
/// A table with more columns may be wider than a small screen.
const NARROW: usize = 2;

/// A text that can stand in a page, whatever is in it; marks that turn the direction of writing are shown as such.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            mark if turns_direction(mark) => safe.push('\u{fffd}'),
            control if control.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

/// The beginning of a text, escaped.
pub(crate) fn excerpt(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((end, _)) => escaped(&format!("{}…", &text[..end])),
        None => escaped(text),
    }
}

/// A label or a name from data: cut, with the whole where a pointer rests on it.
pub(crate) fn name(text: &str) -> String {
    let short = excerpt(text, NAME_LETTERS);
    if text.chars().nth(NAME_LETTERS).is_none() {
        return if text.trim().is_empty() { "<em>empty</em>".to_string() } else { format!("<bdi>{short}</bdi>") };
    }
    format!("<bdi title=\"{}\">{short}</bdi>", excerpt(text, WHOLE_LETTERS))
}

/// A part of 1 as people write it.
pub(crate) fn percent(part: f64) -> String {
    if part.is_finite() { format!("{:.1} %", 100.0 * part) } else { "no value".to_string() }
}

/// A count with its thousands apart.
pub(crate) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with about three digits, however large or small.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "not a number".to_string(),
        0.0 => "0".to_string(),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.1e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A column of a table; its name is HTML.
#[derive(Clone)]
pub(crate) struct Column {
    name: String,
    is_text: bool,
}

impl Column {
    pub(crate) fn number(name: impl Into<String>) -> Self {
        Self { name: name.into(), is_text: false }
    }

    pub(crate) fn text(name: impl Into<String>) -> Self {
        Self { name: name.into(), is_text: true }
    }
}

/// A table whose cells are HTML; the first cell of a row names the row.
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(caption: impl Into<String>, columns: Vec<Column>) -> Self {
        Self { caption: caption.into(), columns, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn html(&self) -> String {
        let mut body = String::new();
        for row in &self.rows {
            body.push_str("<tr>");
            for (place, cell) in row.iter().enumerate() {
                let class =
                    if self.columns.get(place).is_some_and(|column| column.is_text) { " class=text" } else { "" };
                let _ = match place {
                    0 => write!(body, "<th scope=row{class}>{cell}</th>"),
                    _ => write!(body, "<td{class}>{cell}</td>"),
                };
            }
            body.push_str("</tr>\n");
        }
        let head: String = self.columns.iter().map(Column::head).collect();
        let table = format!(
            "<table><caption><span>{}</span></caption>\n<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>",
            self.caption
        );
        match self.columns.len() > NARROW {
            true => wide(&self.caption, &table),
            false => table,
        }
    }
}

impl Column {
    fn head(&self) -> String {
        let class = if self.is_text { " class=text" } else { "" };
        match self.name.is_empty() {
            true => format!("<td{class}></td>"),
            false => format!("<th scope=col{class}>{}</th>", self.name),
        }
    }
}

/// What may be wider than the screen: it is moved by itself, by keyboard as well. The name is HTML.
pub(crate) fn wide(name: &str, html: &str) -> String {
    format!("<div class=wide tabindex=0 role=group aria-label=\"{}\">{html}</div>\n", without_tags(name))
}

/// The text of our own HTML, for an attribute.
pub(crate) fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    for letter in html.chars() {
        match letter {
            '<' => is_tag = true,
            '>' => is_tag = false,
            '"' if !is_tag => text.push_str("&quot;"),
            _ if is_tag => {}
            other => text.push(other),
        }
    }
    text
}

/// What is shown on asking.
pub(crate) fn folded(summary: &str, html: &str) -> String {
    format!("<details><summary>{summary}</summary>\n{html}</details>\n")
}

/// A list of HTML.
pub(crate) fn list(items: impl IntoIterator<Item = String>) -> String {
    let items: String = items.into_iter().map(|item| format!("<li>{item}</li>\n")).collect();
    if items.is_empty() { String::new() } else { format!("<ul>\n{items}</ul>\n") }
}

/// A part of a page; without a body it is left out.
pub(crate) struct Section {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) body: String,
}

/// A whole page. The title is text, the header HTML.
pub(crate) fn page(title: &str, header: &str, sections: &[Section], footer: &str) -> String {
    let sections: Vec<&Section> = sections.iter().filter(|section| !section.body.is_empty()).collect();
    let links: String = sections
        .iter()
        .map(|section| format!("<li><a href=\"#{}\">{}</a></li>\n", section.id, section.title))
        .collect();
    let mut main = String::new();
    for Section { id, title, body } in sections {
        let _ = writeln!(
            main,
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n{body}</section>"
        );
    }
    // No script can run and nothing is fetched, whatever the data holds.
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<a class=skip href=\"#content\">Skip to the content</a>\n<header>{header}</header>\n\
         <nav aria-label=\"Contents\"><ul>\n{links}</ul></nav>\n<main id=content tabindex=-1>\n{main}</main>\n\
         <footer>{footer}</footer>\n</body>\n</html>\n",
        excerpt(title, 200)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_out_of_the_page() {
        let hostile = "<script>alert(1)</script>\u{202e}\u{0}\"&";
        let safe = escaped(hostile);
        assert_eq!(safe, "&lt;script&gt;alert(1)&lt;/script&gt;\u{fffd} &quot;&amp;");
        let long = name(&"<\"".repeat(60_000));
        assert!(long.len() < 8_000 && long.matches('<').count() == 2, "{}", long.len());
    }

    #[test]
    fn a_table_has_a_caption_and_headers() {
        let mut table = Table::new("By <b>class</b>", ["a", "b", "c", "d"].map(Column::number).to_vec());
        table.row(["x", "1", "2", "3"].map(str::to_string));
        let html = table.html();
        assert!(html.contains("aria-label=\"By class\"") && html.contains("<th scope=row>x</th><td>1</td>"), "{html}");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!((count(1_234_567), count(12)), ("1,234,567".to_string(), "12".to_string()));
        assert_eq!([0.0, 2e-5, 0.0123, 1.234, 12345.0].map(short), ["0", "2.0e-5", "0.012", "1.23", "12345"]);
    }
}

//! Plain tables with aligned columns.

use super::output::{Style, Tone, clean};

/// One cell.
pub struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

/// A text.
pub fn text(value: impl Into<String>) -> Cell {
    Cell { text: clean(&value.into()).replace('\n', " "), tone: Tone::Plain, right: false }
}

/// A text that means something.
pub fn toned(value: impl Into<String>, tone: Tone) -> Cell {
    Cell { tone, ..text(value) }
}

impl Cell {
    /// A text to the right.
    pub fn right(value: impl Into<String>) -> Self {
        Self { right: true, ..text(value) }
    }
}

/// A number, to the right.
pub fn number(value: u64) -> Cell {
    Cell { right: true, ..text(value.to_string()) }
}

/// A number that should be 0.
pub fn trouble(value: u64) -> Cell {
    Cell { tone: if value == 0 { Tone::Quiet } else { Tone::Bad }, ..number(value) }
}

/// Writes a table, a line each, without trailing spaces.
pub fn table<const N: usize>(heads: [&str; N], rows: Vec<[Cell; N]>, style: Style) -> String {
    let right: Vec<bool> = match rows.first() {
        Some(row) => row.iter().map(|cell| cell.right).collect(),
        None => vec![false; N],
    };
    let mut heads = heads.map(|head| toned(head, Tone::Quiet));
    heads.iter_mut().zip(&right).for_each(|(head, right)| head.right = *right);
    let rows: Vec<[Cell; N]> = std::iter::once(heads).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    rows.iter().map(|row| line(row, &widths, style) + "\n").collect()
}

fn line(row: &[Cell], widths: &[usize], style: Style) -> String {
    let mut line = String::new();
    let mut owed = 0;
    for (cell, width) in row.iter().zip(widths) {
        let space = width - cell.text.chars().count();
        let (before, after) = if cell.right { (space, 0) } else { (0, space) };
        if !cell.text.is_empty() {
            line.push_str(&" ".repeat(owed + before));
            line.push_str(&style.paint(cell.tone, &cell.text));
            owed = 0;
        } else {
            owed += before;
        }
        owed += after + 2;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_without_trailing_spaces() {
        let rows = vec![
            [text("order-created"), number(7), text("")],
            [text("a"), number(1234), text("x\u{7}")],
            [text("b"), number(5), text("last")],
        ];
        let expected = "NAME           COUNT  NOTE\n\
                        order-created      7\n\
                        a               1234  x\\u{7}\n\
                        b                  5  last\n";
        assert_eq!(table(["NAME", "COUNT", "NOTE"], rows, Style::default()), expected);
    }
}

//! One row for each figure, and the table of all.

use serde_json::{Value, json};

use crate::measure::{Pair, median};

/// A figure with its limit beside it.
pub(crate) struct Row {
    /// What is measured.
    pub name: String,
    /// The figure; where a bound was missed, also the three that were measured after it.
    pub values: Vec<f64>,
    /// What the figure is in.
    pub unit: &'static str,
    /// The most that it may be; none for information.
    pub bound: Option<f64>,
    /// What the figure was made of.
    pub beside: String,
}

/// Whether a row keeps its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has none.
    Information,
    /// It does.
    Kept,
    /// It does not.
    Missed,
}

impl Row {
    /// A row of ratios. `unit` says how to show the two sides, `names` what they are.
    pub(crate) fn of_pairs(
        name: impl Into<String>,
        pairs: &[Pair],
        bound: Option<f64>,
        (unit, per_s): (&'static str, f64),
        names: (&str, &str),
    ) -> Row {
        let last = pairs.last().copied().unwrap_or(Pair { ours_s: f64::NAN, limit_s: f64::NAN });
        let side = |s: f64| short(s * per_s);
        let (ours, limit) = (side(last.ours_s), side(last.limit_s));
        let name = name.into();
        // A whole run takes many minutes: what is known is told at once.
        eprintln!("  {name}: {} x", short(last.ratio()));
        Row {
            name,
            values: pairs.iter().map(Pair::ratio).collect(),
            unit: "x",
            bound,
            beside: format!("{} {ours} {unit}, {} {limit} {unit}", names.0, names.1),
        }
    }

    /// Where a bound was missed at first, the median of the three later figures decides.
    pub(crate) fn verdict(&self) -> Verdict {
        let Some(bound) = self.bound else { return Verdict::Information };
        let counted = match self.values.len() {
            0 | 1 => self.values.clone(),
            _ => self.values[1..].to_vec(),
        };
        if median(counted) <= bound { Verdict::Kept } else { Verdict::Missed }
    }

    pub(crate) fn json(&self) -> Value {
        let kept = match self.verdict() {
            Verdict::Information => None,
            verdict => Some(verdict == Verdict::Kept),
        };
        json!({
            "name": self.name,
            "values": self.values,
            "unit": self.unit,
            "bound": self.bound,
            "beside": self.beside,
            "kept": kept,
        })
    }

    fn cells(&self) -> [String; 5] {
        let values: Vec<String> = self.values.iter().map(|value| short(*value)).collect();
        let bound = self.bound.map(|bound| format!("<= {} {}", short(bound), self.unit));
        let verdict = match self.verdict() {
            Verdict::Information => "information",
            Verdict::Kept => "kept",
            Verdict::Missed => "MISSED",
        };
        [
            self.name.clone(),
            format!("{} {}", values.join(", "), self.unit),
            bound.unwrap_or_else(|| "-".into()),
            verdict.into(),
            self.beside.clone(),
        ]
    }
}

/// A number with three digits that count, or all before the point.
pub(crate) fn short(value: f64) -> String {
    let digits = match value.abs() {
        _ if value.fract() == 0.0 => 0,
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// All rows below one another, columns in line.
pub(crate) fn text(rows: &[Row]) -> String {
    let head = ["figure", "value", "limit", "verdict", "measured in the same run"];
    let cells = std::iter::once(head.map(str::to_owned)).chain(rows.iter().map(Row::cells));
    let cells: Vec<[String; 5]> = cells.collect();
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..4).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &cells {
        for (cell, width) in row.iter().zip(&widths) {
            out.push_str(&format!("{cell:width$}  "));
        }
        out.push_str(&row[4]);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f64], bound: Option<f64>) -> Row {
        Row { name: "a".into(), values: values.into(), unit: "x", bound, beside: String::new() }
    }

    #[test]
    fn the_first_of_four_figures_does_not_decide() {
        assert_eq!(row(&[1.0], Some(1.0)).verdict(), Verdict::Kept);
        assert_eq!(row(&[1.1], Some(1.0)).verdict(), Verdict::Missed);
        assert_eq!(row(&[1.1, 0.9, 1.2, 0.8], Some(1.0)).verdict(), Verdict::Kept);
        assert_eq!(row(&[1.1, 0.9, 1.2, 1.3], Some(1.0)).verdict(), Verdict::Missed);
        assert_eq!(row(&[9.0], None).verdict(), Verdict::Information);
        assert_eq!(row(&[f64::NAN], Some(1.0)).verdict(), Verdict::Missed);
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.756, 2.0, 28.45, 203.7].map(short);
        assert_eq!(shown, ["0.76", "2", "28.4", "204"]);
    }
}

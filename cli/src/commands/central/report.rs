//! `strongroom central report`: what ends, what was activated, what was refused, and the like.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vendor::times::{self, Times};
use vendor::{Result, Shown};

use super::{admin, rows, table, word};
use crate::args::{ReportArgs, ReportKind};
use crate::output::Output;

pub(super) fn run(args: &ReportArgs, output: &Output) -> Result<()> {
    let kind = format!("{:?}", args.kind).to_lowercase();
    let path = format!("/v1/reports/{kind}?{}", query(args)?);
    if args.list.csv {
        return table(path.trim_end_matches(['&', '?']), output);
    }
    let rows = rows(&admin()?, &path)?;
    let text = match rows.is_empty() {
        true => format!("{kind}: none"),
        false => text(args.kind, &rows),
    };
    output.data("central-report", json!({ "kind": kind, "rows": rows }), text);
    Ok(())
}

/// What of the arguments the server is told: each report has its own.
fn query(args: &ReportArgs) -> Result<String> {
    let times = Times::here();
    let takes_since = matches!(args.kind, ReportKind::Activated | ReportKind::Denied);
    if (args.since.is_some() && !takes_since)
        || (args.until.is_some() && args.kind != ReportKind::Activated)
    {
        let hint = "--since is for activated and denied, --until for activated.";
        return Err(Shown::usage("this report is not of some time", hint));
    }
    let mut query = match args.kind {
        ReportKind::Expiring => format!("within_s={}&", times.span_s(&args.within)?),
        _ => String::new(),
    };
    for (name, at) in [("since_ms", &args.since), ("until_ms", &args.until)] {
        if let Some(at) = at {
            query.push_str(&format!("{name}={}&", times.parse(at)?.saturating_mul(1000)));
        }
    }
    Ok(query)
}

/// Cells of a row.
type Line = fn(&Value) -> Vec<String>;

fn text(kind: ReportKind, rows: &[Value]) -> String {
    let (head, line): (&[&str], Line) = match kind {
        ReportKind::Expiring | ReportKind::Lapsed => {
            (&["ends", "by", "product", "state", "container", "order", "grant"], ending)
        }
        ReportKind::Activated => {
            (&["issued", "product", "container", "receipt", "order", "grant"], activated)
        }
        ReportKind::Unreceipted => (&["issued", "container", "number", "what"], unreceipted),
        ReportKind::Denied => (&["day", "times", "what", "code", "of", "why"], denied),
        ReportKind::Overlap => {
            (&["booked", "times", "product", "state", "container", "grant", "why"], overlap)
        }
    };
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let lines: Vec<Vec<String>> = [head].into_iter().chain(rows.iter().map(line)).collect();
    let mut text = aligned(&lines);
    if kind == ReportKind::Activated {
        text.push_str(&months(rows));
    }
    text
}

/// Columns below each other; the last is as long as it is.
fn aligned(lines: &[Vec<String>]) -> String {
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let line = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn ending(row: &Value) -> Vec<String> {
    let ends = times::show(row["ends_s"].as_u64().unwrap_or(0));
    let [by, state, container, order, grant] =
        ["by", "state", "container", "order", "grant"].map(|name| word(row, name).to_owned());
    vec![ends, by, row["product"].to_string(), state, container, order, grant]
}

fn activated(row: &Value) -> Vec<String> {
    let [container, order, grant] =
        ["container", "order", "grant"].map(|name| word(row, name).to_owned());
    let receipt = if row["confirmed"] == true { "yes" } else { "no" };
    let product = row["product"].to_string();
    vec![at(row, "issued_ms"), product, container, receipt.to_owned(), order, grant]
}

fn unreceipted(row: &Value) -> Vec<String> {
    let [container, what] = ["container", "what"].map(|name| word(row, name).to_owned());
    vec![at(row, "issued_ms"), container, row["seq"].to_string(), what]
}

fn denied(row: &Value) -> Vec<String> {
    let [day, what, code, object, why] =
        ["day", "what", "code", "object", "why"].map(|name| word(row, name).to_owned());
    vec![day, row["count"].to_string(), what, code, object, why]
}

fn overlap(row: &Value) -> Vec<String> {
    let [state, container, grant, detail] =
        ["state", "container", "grant", "detail"].map(|name| word(row, name).to_owned());
    let (count, product) = (row["overlaps"].to_string(), row["product"].to_string());
    vec![at(row, "booked_ms"), count, product, state, container, grant, detail]
}

/// How many in each month, of each product.
fn months(rows: &[Value]) -> String {
    let mut counts: BTreeMap<(&str, u64), u64> = BTreeMap::new();
    for row in rows {
        let product = row["product"].as_u64().unwrap_or(0);
        *counts.entry((word(row, "month"), product)).or_default() += 1;
    }
    let line = |((month, product), count): ((&str, u64), u64)| {
        format!("\n{month}  product {product}  {count}")
    };
    format!("\n{}", counts.into_iter().map(line).collect::<String>())
}

fn at(row: &Value, name: &str) -> String {
    row[name].as_u64().map(|at_ms| times::show(at_ms / 1000)).unwrap_or_default()
}

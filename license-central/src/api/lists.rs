//! Lists: page by page as JSON, or as a table in CSV, whole or a part of it.
//!
//! A table is sent while it is read, a page at a time, so that its size costs no memory. One that
//! cannot be finished breaks off: the connection ends in its middle, and nobody takes it for whole.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::table::{self, Tabled};
use super::{App, reply};
use crate::domain::access::{Object, Principal, Verb, allow};
use crate::domain::central::Central;
use crate::domain::refusal::Outcome;
use crate::domain::work::{Record, Stored};
use crate::store::{Filter, Page};

/// Rows of a list that are sent at once.
pub(super) const PAGE_MAX: usize = 200;

/// Which part of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The `next` of the page before.
    pub(super) after: Option<String>,
    /// How many: at most 200 as JSON; as a table without it all there are.
    pub(super) limit: Option<usize>,
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listed<T> {
    /// The rows.
    pub(super) rows: Vec<T>,
    /// Where the next part begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// What a client wants a list as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// JSON, a page.
    Json,
    /// CSV: it named `text/csv`, and not `application/json` before it.
    Csv,
}

impl<T> Listed<T> {
    /// Of rows that were read with one more than are sent.
    pub(super) fn cut(mut rows: Vec<T>, page: &Page<'_>, id: impl Fn(&T) -> String) -> Self {
        let more = rows.len() > page.limit;
        rows.truncate(page.limit);
        let next = rows.last().filter(|_| more).map(id);
        Listed { rows, next }
    }
}

impl<R: Record> Listed<R> {
    /// Of records.
    pub(super) fn of(rows: Vec<Stored<R>>, page: &Page<'_>) -> Self {
        Listed::cut(rows.into_iter().map(|row| row.record).collect(), page, R::id)
    }
}

/// With one row more, by which it is known whether there are more.
pub(super) fn one_more<'a>(page: &Page<'a>) -> Page<'a> {
    Page { limit: page.limit.saturating_add(1), ..*page }
}

/// A list of one kind of record.
pub(super) async fn records<R: Record + Tabled>(
    app: &App,
    who: Principal,
    object: Object,
    asked: (ListQuery, Wants),
) -> Result<Response, Problem> {
    allow(&who, Verb::Read, object)?;
    let read = move |central: &Central, page: &Page<'_>| {
        let rows =
            central.read(&who.vendor, |work| work.list::<R>(&Filter::All, &one_more(page)))?;
        Ok(Listed::of(rows, page))
    };
    list(app, asked, read).await
}

/// A list as it is wanted; `read` gives a page of it.
pub(super) async fn list<T, F>(
    app: &App,
    (query, wants): (ListQuery, Wants),
    read: F,
) -> Result<Response, Problem>
where
    T: Tabled,
    F: Fn(&Central, &Page<'_>) -> Outcome<Listed<T>> + Send + Sync + 'static,
{
    let source = Source { app: app.clone(), read: Arc::new(read) };
    if wants == Wants::Csv {
        return export(source, query).await;
    }
    let limit = query.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let page = source.page(query.after, limit).await?;
    Ok(reply(StatusCode::OK, &page).into_response())
}

/// Where rows come from.
struct Source<F> {
    app: App,
    read: Arc<F>,
}

impl<F> Source<F> {
    async fn page<T>(&self, after: Option<String>, limit: usize) -> Result<Listed<T>, Problem>
    where
        T: Send + 'static,
        F: Fn(&Central, &Page<'_>) -> Outcome<Listed<T>> + Send + Sync + 'static,
    {
        let read = self.read.clone();
        let page = move |central: &Central| read(central, &Page { after: after.as_deref(), limit });
        self.app.run(page).await
    }
}

/// A table. Its first page is read before anything is answered, so that what is refused is a
/// problem.
async fn export<T, F>(source: Source<F>, query: ListQuery) -> Result<Response, Problem>
where
    T: Tabled,
    F: Fn(&Central, &Page<'_>) -> Outcome<Listed<T>> + Send + Sync + 'static,
{
    let bound = source.app.gatekeeper().export_rows_max();
    let left = query.limit.unwrap_or(bound).clamp(1, bound);
    let first = source.page::<T>(query.after, left.min(PAGE_MAX)).await?;
    let (send, chunks) = mpsc::channel(2);
    tokio::spawn(async move {
        // Whoever went away needs no reason.
        if let Err(why) = pour(&source, (first, left, query.limit.is_some()), &send).await {
            tracing::error!(%why, "a table breaks off");
            let _ = send.send(Err(why)).await;
        }
    });
    let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present")];
    Ok((kind, Body::new(Chunks(chunks))).into_response())
}

/// Sends a first page and all that follow, `left` rows in all; if not a part is wanted, then more
/// rows than that are a failure.
async fn pour<T, F>(
    source: &Source<F>,
    (mut page, mut left, is_part): (Listed<T>, usize, bool),
    send: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()>
where
    T: Tabled,
    F: Fn(&Central, &Page<'_>) -> Outcome<Listed<T>> + Send + Sync + 'static,
{
    let mut text = table::head::<T>()?;
    loop {
        left = left.saturating_sub(page.rows.len());
        text.extend(table::rows(&page.rows)?);
        if send.send(Ok(std::mem::take(&mut text).into())).await.is_err() {
            return Ok(());
        }
        let Some(next) = page.next else { return Ok(()) };
        if left == 0 && is_part {
            return Ok(());
        }
        if left == 0 {
            return Err(io::Error::other("it has more rows than a table may have"));
        }
        let following = source.page::<T>(Some(next), left.min(PAGE_MAX)).await;
        page = following.map_err(|problem| io::Error::other(problem.title))?;
    }
}

/// A body that is made while it is sent.
struct Chunks(mpsc::Receiver<io::Result<Bytes>>);

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

impl FromRequestParts<App> for Wants {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Ok(Wants::of(&parts.headers))
    }
}

impl Wants {
    fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let ranges: Vec<(String, u32)> =
            lines.flat_map(|line| line.split(',')).filter_map(weighed).collect();
        let weight = |kind: &str| {
            let own = ranges.iter().filter(|(range, _)| range == kind);
            own.map(|(_, weight)| *weight).max().unwrap_or(0)
        };
        let csv = weight("text/csv");
        if csv > 0 && csv >= weight("application/json") { Wants::Csv } else { Wants::Json }
    }
}

/// A media range in small letters, and its weight in thousandths.
fn weighed(range: &str) -> Option<(String, u32)> {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next()?.to_ascii_lowercase();
    let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = q.map_or(Some(1.0), |q| q.parse::<f32>().ok())?;
    Some((kind, (weight.clamp(0.0, 1.0) * 1000.0) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_what_is_asked_for_by_name() {
        let of = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::ACCEPT, line.parse().unwrap());
            }
            Wants::of(&headers)
        };
        for lines in [
            &["text/csv"][..],
            &["Text/CSV; charset=utf-8"],
            &["text/csv, application/json;q=0.9, */*;q=0.1"],
            &["application/json;q=0.5", "text/csv;q=0.5"],
        ] {
            assert_eq!(of(lines), Wants::Csv, "{lines:?}");
        }
        for lines in [
            &[][..],
            &["*/*"],
            &["text/*"],
            &["text/csv;q=0"],
            &["text/csv;q=x"],
            &["text/csvx"],
            &["application/json, text/csv;q=0.9"],
        ] {
            assert_eq!(of(lines), Wants::Json, "{lines:?}");
        }
    }
}

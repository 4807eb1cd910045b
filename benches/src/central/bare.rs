//! The limit: the same web framework and database, with nothing around them. No expiry, no audit,
//! no credential but a place in a map, no signature, and nothing when a request is repeated.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    ParsedPublicKey,
};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use axum::{Json, Router};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::load;
use crate::Result;
use crate::clock::cpu_s;
use crate::measure::median;

/// Checkouts that one commit takes.
const BATCH: usize = 256;

#[derive(Deserialize)]
struct Checkout {
    product: u32,
    session: uuid::Uuid,
}

#[derive(Serialize)]
struct Taken {
    session: uuid::Uuid,
    product: u32,
}

impl Taken {
    fn of(asked: &Checkout) -> Self {
        Taken { session: asked.session, product: asked.product }
    }
}

struct Waiting {
    license: i64,
    session: uuid::Uuid,
    done: oneshot::Sender<bool>,
}

#[derive(Clone)]
struct App {
    licenses: Arc<HashMap<String, i64>>,
    queue: Sender<Waiting>,
    signed: Option<Signed>,
}

/// A signature of P-256 as a request may bring one, and its key, parsed once.
#[derive(Clone)]
struct Signed {
    key: Arc<ParsedPublicKey>,
    signature: Vec<u8>,
}

/// As many bytes as a context has that is signed.
const MESSAGE: [u8; 256] = [0x5a; 256];

impl Signed {
    fn new() -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let signature = pair.sign(&SystemRandom::new(), &MESSAGE)?.as_ref().to_vec();
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key())?;
        Ok(Signed { key: Arc::new(key), signature })
    }

    fn verify(&self) -> std::result::Result<(), StatusCode> {
        let verified = self.key.verify_sig(std::hint::black_box(&MESSAGE), &self.signature);
        verified.map_err(|_| StatusCode::FORBIDDEN)
    }
}

/// Seconds of one verification.
pub(super) fn verification_s(times: usize) -> Result<f64> {
    let signed = Signed::new()?;
    let all =
        || (0..times).try_for_each(|_| signed.verify().map_err(|code| code.to_string().into()));
    Ok(cpu_s(all)? / times as f64)
}

pub(super) struct Server {
    pub at: SocketAddr,
    licenses: usize,
    _runtime: Runtime,
    _dir: tempfile::TempDir,
}

impl Server {
    /// A thread that commits what waits, behind the web framework.
    pub(super) fn start(licenses: usize) -> Result<Self> {
        Self::over(licenses, None)
    }

    fn over(licenses: usize, signed: Option<Signed>) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let database = filled(dir.path(), licenses)?;
        let (queue, waiting) = channel();
        std::thread::spawn(move || write_all(database, &waiting));
        let names = (0..licenses).map(|number| (name(number), number as i64)).collect();
        let app = App { licenses: Arc::new(names), queue, signed };
        serve(Router::new().route("/v1/acme/seats", post(checkout)).with_state(app), licenses, dir)
    }

    /// The same, and each request brings a signature that is verified.
    pub(super) fn verifying(licenses: usize) -> Result<Self> {
        Self::over(licenses, Some(Signed::new()?))
    }

    /// The web framework alone, and that.
    pub(super) fn verifying_echo() -> Result<Self> {
        let signed = Signed::new()?;
        let echo = move |Json(asked): Json<Checkout>| {
            let taken = signed.verify().map(|()| Taken::of(&asked));
            async move { taken.map(Json) }
        };
        serve(Router::new().route("/v1/acme/seats", post(echo)), 1, tempfile::tempdir()?)
    }

    /// The web framework alone: reads the request and answers.
    pub(super) fn echo() -> Result<Self> {
        let echo = |Json(asked): Json<Checkout>| async move { Json(Taken::of(&asked)) };
        serve(Router::new().route("/v1/acme/seats", post(echo)), 1, tempfile::tempdir()?)
    }

    pub(super) fn checkout(&self, number: usize) -> Vec<u8> {
        let bearer = name(number.wrapping_mul(7_919) % self.licenses);
        load::post("/v1/acme/seats", Some(&bearer), &load::checkout())
    }
}

fn serve(router: Router, licenses: usize, dir: tempfile::TempDir) -> Result<Server> {
    let runtime = load::runtime("bare")?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let at = listener.local_addr()?;
    runtime.spawn(async move { axum::serve(listener, router).await });
    Ok(Server { at, licenses, _runtime: runtime, _dir: dir })
}

fn name(number: usize) -> String {
    format!("crd_{number:032x}.{number:048x}")
}

async fn checkout(
    State(app): State<App>,
    headers: HeaderMap,
    Json(asked): Json<Checkout>,
) -> std::result::Result<Json<Taken>, StatusCode> {
    app.signed.as_ref().map_or(Ok(()), Signed::verify)?;
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let name = bearer.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    let license = *app.licenses.get(name).ok_or(StatusCode::UNAUTHORIZED)?;
    let (done, told) = oneshot::channel();
    let sent = app.queue.send(Waiting { license, session: asked.session, done });
    sent.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    match told.await {
        Ok(true) => Ok(Json(Taken::of(&asked))),
        _ => Err(StatusCode::CONFLICT),
    }
}

/// The narrow tables, with a thousand times a thousand seats for each license.
fn filled(dir: &Path, licenses: usize) -> Result<Connection> {
    let mut database = Connection::open(dir.join("bare.db"))?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE counter (id INTEGER PRIMARY KEY, seats INTEGER, in_use INTEGER);
         CREATE TABLE lease (id INTEGER PRIMARY KEY, counter INTEGER, high INTEGER, low INTEGER);",
    )?;
    let transaction = database.transaction()?;
    {
        let mut insert = transaction.prepare("INSERT INTO counter VALUES (?, 1000000, 0)")?;
        for number in 0..licenses as i64 {
            insert.execute([number])?;
        }
    }
    transaction.commit()?;
    Ok(database)
}

fn write_all(mut database: Connection, waiting: &Receiver<Waiting>) {
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        batch.extend(waiting.try_iter().take(BATCH - 1));
        let asked: Vec<_> = batch.iter().map(|one| (one.license, one.session)).collect();
        let taken = commit(&mut database, &asked).unwrap_or_default();
        for (one, taken) in batch.into_iter().zip(taken) {
            let _ = one.done.send(taken);
        }
    }
}

fn commit(database: &mut Connection, asked: &[(i64, uuid::Uuid)]) -> Result<Vec<bool>> {
    let transaction = database.transaction()?;
    let mut taken = Vec::with_capacity(asked.len());
    {
        let mut count = transaction.prepare_cached(
            "UPDATE counter SET in_use = in_use + 1 WHERE id = ? AND in_use < seats",
        )?;
        let mut lease = transaction
            .prepare_cached("INSERT INTO lease (counter, high, low) VALUES (?, ?, ?)")?;
        for (license, session) in asked {
            let is_taken = count.execute([license])? == 1;
            if is_taken {
                let (high, low) = session.as_u64_pair();
                lease.execute(params![license, high.cast_signed(), low.cast_signed()])?;
            }
            taken.push(is_taken);
        }
    }
    transaction.commit()?;
    Ok(taken)
}

/// Processor time of one checkout in a batch of 64, without anything around.
pub(super) fn batch_cpu_s(licenses: usize) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let mut database = filled(dir.path(), licenses)?;
    let mut at = 0;
    let mut rounds = Vec::new();
    for _ in 0..50 {
        let asked: Vec<_> = (0..64)
            .map(|_| {
                at += 1;
                ((at as i64 * 7_919) % licenses as i64, uuid::Uuid::now_v7())
            })
            .collect();
        rounds.push(cpu_s(|| commit(&mut database, &asked).map(drop))? / 64.0);
    }
    Ok(median(rounds))
}

/// The median of appending a page to a file and waiting until it is there.
pub(super) fn append_p50_s() -> Result<f64> {
    let mut file = tempfile::tempfile()?;
    let mut took = Vec::new();
    for _ in 0..1000 {
        let start = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        took.push(start.elapsed().as_secs_f64());
    }
    Ok(median(took))
}

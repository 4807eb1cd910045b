//! PostgreSQL: the desk against the database's own client, with the same sets and one by one.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use license_central::store::SqlStore;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use super::scaling::{BATCH, Filled};
use crate::Result;
use crate::clock::wall_s;
use crate::measure::{against, in_turn};
use crate::table::Row;

const LICENSES: usize = 100_000;
/// Batches that each of two connections commits; single checkouts of each of sixteen.
const BATCHES: usize = 100;
const SINGLES: usize = 200;

/// Against sets and against single statements.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let server = Server::start()?;
    let store = SqlStore::postgres(&server.url())?;
    let desks = [
        Filled::over(store, LICENSES, None)?,
        Filled::again(SqlStore::postgres(&server.url())?, LICENSES)?,
    ];
    let runtime = Runtime::new()?;
    let bare = runtime.block_on(Bare::connect(&server.url()))?;
    let us = ("us", 1e6);
    let ours = || {
        let checkouts = (2 * BATCHES * BATCH) as f64;
        let both = || {
            std::thread::scope(|scope| {
                let each = desks.each_ref().map(|desk| {
                    let work = || (0..BATCHES).try_for_each(|_| desk.batch());
                    scope.spawn(move || work().map_err(|error| error.to_string()))
                });
                each.into_iter().try_for_each(|one| Ok(one.join().map_err(|_| "panic")??))
            })
        };
        Ok(wall_s(both)? / checkouts)
    };
    let sets = against(Some(1.0 / 0.6), || in_turn(5, ours, || bare.sets(&runtime)))?;
    let singles = against(Some(0.5), || in_turn(5, ours, || bare.singles(&runtime)))?;
    Ok(vec![
        Row::of_pairs(
            "checkout on PostgreSQL / bare sets of 64",
            &sets,
            Some(1.0 / 0.6),
            us,
            ("ours", "tokio-postgres, 2 connections"),
        ),
        Row::of_pairs(
            "checkout on PostgreSQL / one statement each",
            &singles,
            Some(0.5),
            us,
            ("ours", "tokio-postgres, 16 connections"),
        ),
    ])
}

const SET: &str = "WITH k (counter, high, low) AS (
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])),
    counted AS (UPDATE bare_counter SET in_use = in_use + n.more
        FROM (SELECT counter, count(*) AS more FROM k GROUP BY counter) AS n
        WHERE id = n.counter AND in_use + n.more <= seats RETURNING id)
    INSERT INTO bare_lease (counter, high, low)
        SELECT counter, high, low FROM k WHERE counter IN (SELECT id FROM counted)";

const SINGLE: &str = "WITH counted AS (UPDATE bare_counter SET in_use = in_use + 1
        WHERE id = $1 AND in_use < seats RETURNING id)
    INSERT INTO bare_lease (counter, high, low) SELECT id, $2, $3 FROM counted";

/// The narrow tables behind the database's own client.
pub(super) struct Bare {
    clients: Vec<Client>,
    next: AtomicUsize,
}

impl Bare {
    pub(super) async fn connect(url: &str) -> Result<Self> {
        let mut clients = Vec::new();
        for _ in 0..16 {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            clients.push(client);
        }
        let tables = format!(
            "CREATE TABLE bare_counter (id BIGINT PRIMARY KEY, seats BIGINT, in_use BIGINT);
             CREATE TABLE bare_lease (counter BIGINT, high BIGINT, low BIGINT);
             INSERT INTO bare_counter SELECT n, 1000000, 0 FROM generate_series(0, {LICENSES}) n;
             ANALYZE"
        );
        clients[0].batch_execute(&tables).await?;
        Ok(Bare { clients, next: AtomicUsize::new(0) })
    }

    fn asked(&self, count: usize) -> [Vec<i64>; 3] {
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        let mut all = [Vec::new(), Vec::new(), Vec::new()];
        for number in first..first + count {
            let (high, low) = uuid::Uuid::now_v7().as_u64_pair();
            let counter = (number.wrapping_mul(7_919) % LICENSES) as i64;
            let row = [counter, high.cast_signed(), low.cast_signed()];
            all.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
        all
    }

    /// Seconds of one checkout in sets of 64, over two connections.
    pub(super) fn sets(&self, runtime: &Runtime) -> Result<f64> {
        let work = |client| async move {
            let client: &Client = client;
            let set = client.prepare(SET).await?;
            for _ in 0..BATCHES {
                let [counters, highs, lows] = self.asked(BATCH);
                client.execute(&set, &[&counters, &highs, &lows]).await?;
            }
            Result::Ok(())
        };
        let both = || {
            runtime.block_on(async {
                let (a, b) = tokio::join!(work(&self.clients[0]), work(&self.clients[1]));
                a.and(b)
            })
        };
        Ok(wall_s(both)? / (2 * BATCHES * BATCH) as f64)
    }

    /// Seconds of one checkout by a statement of its own, over sixteen connections.
    fn singles(&self, runtime: &Runtime) -> Result<f64> {
        let work = |client| async move {
            let client: &Client = client;
            let single = client.prepare(SINGLE).await?;
            for _ in 0..SINGLES {
                let [counter, high, low] = self.asked(1).map(|column| column[0]);
                client.execute(&single, &[&counter, &high, &low]).await?;
            }
            Result::Ok(())
        };
        let all = || {
            runtime.block_on(async {
                let mut done = Vec::new();
                let mut pending: Vec<_> =
                    self.clients.iter().map(|client| Box::pin(work(client))).collect();
                std::future::poll_fn(|context| {
                    pending.retain_mut(|one| match one.as_mut().poll(context) {
                        std::task::Poll::Ready(result) => {
                            done.push(result);
                            false
                        }
                        std::task::Poll::Pending => true,
                    });
                    match pending.is_empty() {
                        true => std::task::Poll::Ready(()),
                        false => std::task::Poll::Pending,
                    }
                })
                .await;
                done.into_iter().collect::<Result<()>>()
            })
        };
        Ok(wall_s(all)? / (self.clients.len() * SINGLES) as f64)
    }
}

/// A PostgreSQL of its own on a Unix socket, run by an ordinary user: it refuses root.
pub(super) struct Server {
    dir: tempfile::TempDir,
}

const NOBODY: u32 = 65534;

/// Where Debian has what is not on everybody's path.
const BIN: &str = "/usr/lib/postgresql/15/bin";

impl Server {
    pub(super) fn start() -> Result<Self> {
        let server = Server { dir: tempfile::tempdir()? };
        std::os::unix::fs::chown(server.dir.path(), Some(NOBODY), Some(NOBODY))?;
        let init = ["-A", "trust", "-U", "strongroom", "-E", "UTF8", "--locale=C", "--no-sync"];
        server.run("initdb", &init)?;
        let socket = server.dir.path().display();
        let options = format!("-k {socket} -c listen_addresses= -c max_connections=60");
        let log = server.dir.path().join("log").display().to_string();
        server.run("pg_ctl", &["-w", "-l", &log, "-o", &options, "start"])?;
        Ok(server)
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://strongroom@localhost/postgres?host={}", self.dir.path().display())
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<()> {
        let mut command = Command::new(Path::new(BIN).join(program));
        command.arg("-D").arg(self.dir.path().join("data")).args(args);
        command.uid(NOBODY).gid(NOBODY).current_dir(self.dir.path());
        // Its server would keep the pipes open.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.status()? {
            ended if ended.success() => Ok(()),
            ended => Err(format!("{program}: {ended}").into()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // There is nothing to be done where even that fails.
        let _ = self.run("pg_ctl", &["-m", "immediate", "stop"]);
    }
}

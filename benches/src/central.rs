//! License Central against its limits: a bare server with a bare database, a bare append, and the
//! database's own client.

mod bare;
mod load;
mod ours;
mod peer;
pub(crate) mod postgres;
pub(crate) mod renewal;
pub(crate) mod scaling;
pub(crate) mod sign;

use crate::Result;
use crate::measure::{Pair, against, median};
use crate::table::Row;
use load::Load;

/// Connections of the load.
const CONNECTIONS: usize = 64;

/// Requests of one measurement: enough for a second or so.
const REQUESTS: usize = 40_000;

/// Licenses that are asked for, by turns.
pub(crate) const LICENSES: usize = 100_000;

const ROUNDS: usize = 3;

/// Seconds of one request in microseconds.
const US: (&str, f64) = ("us", 1e6);

/// Seats over HTTP.
pub(crate) fn checkout_rows() -> Result<Vec<Row>> {
    let ours = warm(ours::firm)?;
    let bare = bare::Server::start(LICENSES)?;
    let echo = bare::Server::echo()?;
    let mut rows = under_load(&ours, &bare, &echo)?;
    rows.push(alone(&ours, &echo)?);
    Ok(rows)
}

/// The same beside another license server.
pub(crate) fn peer_rows() -> Result<Vec<Row>> {
    Ok(vec![beside_a_peer(&warm(ours::firm)?)?])
}

/// A server that knows all credentials.
fn warm(found: ours::Found) -> Result<ours::Server> {
    let server = ours::Server::start(LICENSES, found)?;
    server.warm()?;
    Ok(server)
}

/// 64 connections: throughput, processor time, and the slowest of a hundred.
fn under_load(ours: &ours::Server, bare: &bare::Server, echo: &bare::Server) -> Result<Vec<Row>> {
    let measure =
        |at, request: &dyn Fn(usize) -> Vec<u8>| load::run(at, CONNECTIONS, REQUESTS, request);
    let mut tails = Vec::new();
    let (mut walls, mut limits) = (Vec::new(), Vec::new());
    let throughput = against(Some(1.0 / 0.75), || {
        let pair = turns(
            || measure(ours.at, &|number| ours.checkout(number)),
            || measure(bare.at, &|number| bare.checkout(number)),
        )?;
        tails.push(Pair { ours_s: pair.0.p99_s, limit_s: pair.0.p50_s });
        walls.push(pair.0.wall_s);
        limits.push(pair.1.wall_s);
        Ok(Pair { ours_s: pair.0.wall_s, limit_s: pair.1.wall_s })
    })?;
    let processor = against(Some(1.8), || {
        let pair = turns(
            || measure(ours.at, &|number| ours.checkout(number)),
            || measure(echo.at, &|number| echo.checkout(number)),
        )?;
        let batch_s = bare::batch_cpu_s(LICENSES)?;
        Ok(Pair { ours_s: pair.0.cpu_s, limit_s: pair.1.cpu_s + batch_s })
    })?;
    let (rate, limit) = (1.0 / median(walls), 1.0 / median(limits));
    println!("signed checkouts under load: {rate:.0}/s, bare ones {limit:.0}/s");
    Ok(vec![
        Row::of_pairs(
            "signed checkout, 64 connections / bare, unsigned",
            &throughput,
            Some(1.0 / 0.75),
            US,
            ("ours", "bare axum and narrow SQLite"),
        ),
        Row::of_pairs(
            "server CPU of a signed checkout / bare",
            &processor,
            Some(1.8),
            US,
            ("ours", "bare echo and storage batch"),
        ),
        Row::of_pairs(
            "slowest of a hundred checkouts / median",
            &tails,
            Some(4.0),
            ("ms", 1e3),
            ("p99", "p50"),
        ),
    ])
}

/// Leases that P-256 and ML-DSA-65 both sign, against those of P-256 alone; and one signature for a
/// commit against one for each lease.
pub(crate) fn suite_2_rows() -> Result<Vec<Row>> {
    const FEWER: usize = REQUESTS / 4;
    let (ours, hybrid) = (warm(ours::firm)?, warm(ours::hybrid_firm)?);
    let each = warm(ours::each_firm)?;
    let against_other = |other: &ours::Server, count, bound| {
        against(Some(bound), || {
            let run = |server: &ours::Server| {
                load::run(server.at, CONNECTIONS, count, &|number| server.checkout(number))
            };
            let pair = turns(|| run(&hybrid), || run(other))?;
            Ok(Pair { ours_s: pair.0.wall_s, limit_s: pair.1.wall_s })
        })
    };
    let (plain_bound, each_bound) = (1.0 / 0.85, 1.0 / 7.0);
    let plain = against_other(&ours, REQUESTS, plain_bound)?;
    let each = against_other(&each, FEWER, each_bound)?;
    Ok(vec![
        Row::of_pairs(
            "checkout signed under suite 2 / under suite 1",
            &plain,
            Some(plain_bound),
            US,
            ("P-256 and ML-DSA-65", "P-256"),
        ),
        Row::of_pairs(
            "suite 2, one signature for a commit / for each lease",
            &each,
            Some(each_bound),
            US,
            ("for a commit", "for each"),
        ),
    ])
}

/// One connection.
fn alone(ours: &ours::Server, echo: &bare::Server) -> Result<Row> {
    let bound = Some(1.5);
    let pairs = against(bound, || {
        let pair = turns(
            || load::run(ours.at, 1, 2_000, &|number| ours.checkout(number)),
            || load::run(echo.at, 1, 2_000, &|number| echo.checkout(number)),
        )?;
        Ok(Pair { ours_s: pair.0.p50_s, limit_s: pair.1.p50_s + bare::append_p50_s()? })
    })?;
    let names = ("ours", "append, fdatasync and bare echo");
    Ok(Row::of_pairs("signed checkout alone, median / bare", &pairs, bound, US, names))
}

/// Another license server with the same clients. Both answer when what they did is durable; only
/// ours signs.
fn beside_a_peer(ours: &ours::Server) -> Result<Row> {
    const CONNECTIONS: usize = 8;
    const REQUESTS: usize = 500;
    // More than all runs together take: none is bound twice.
    let peer = peer::Server::start(40 * REQUESTS)?;
    let bound = Some(0.1);
    let pairs = against(bound, || {
        let pair = turns(
            || load::run(ours.at, CONNECTIONS, REQUESTS, &|number| ours.checkout(number)),
            || load::run(peer.at, CONNECTIONS, REQUESTS, &|number| peer.bind(number)),
        )?;
        Ok(Pair { ours_s: pair.0.wall_s, limit_s: pair.1.wall_s })
    })?;
    let names = ("ours", "netviper-talos, bind");
    Ok(Row::of_pairs("signed checkout, 8 connections / a peer", &pairs, bound, US, names))
}

/// A B A B: medians of what each took.
fn turns(
    ours: impl Fn() -> Result<Load>,
    limit: impl Fn() -> Result<Load>,
) -> Result<(Load, Load)> {
    ours()?;
    limit()?;
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        a.push(ours()?);
        b.push(limit()?);
    }
    Ok((Load::median(&a), Load::median(&b)))
}

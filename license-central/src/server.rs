//! The listeners: three faces on an address each, and counts on another where that is wanted.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use protocol::errors::Shown;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::api::front::Settings;
use crate::api::limits::{Rate, Rates};
use crate::api::{App, admin, gateway, metrics, sales};
use crate::args::ServeArgs;
use crate::carrier::Reach;
use crate::domain::anchors::{self, Head};
use crate::domain::central::Central;
use crate::domain::{enrollment, webhooks};
use crate::listen::{Bounds, Face, Gate};
use crate::place::Directories;
use crate::tls;

/// How often messages that are due are looked for.
const CARRY_PAUSE: Duration = Duration::from_secs(1);

/// How often messages to webhooks are looked for that are old.
const FORGET_MESSAGES_EVERY: Duration = Duration::from_secs(3600);

/// How often licenses that lapsed are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Seconds between two looks for rows of seats that nobody can ask for any more.
const FORGET_EVERY: u64 = 1800;

/// Where the faces listen.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Sales.
    pub sales: SocketAddr,
    /// Gateway.
    pub gateway: SocketAddr,
    /// Admin.
    pub admin: SocketAddr,
    /// Counts, if they are wanted.
    pub metrics: Option<SocketAddr>,
}

/// Serves until it is told to end (SIGTERM, SIGINT); what was begun is finished. `ready` is called
/// when all of them listen.
pub async fn serve(
    (central, directories): (Arc<Central>, Directories),
    args: &ServeArgs,
    ready: impl FnOnce(Addresses),
) -> Result<(), Shown> {
    let app = app(central.clone(), args)?;
    let tls = tls::acceptor(&args.tls)?;
    let listen = |address| listen(address, tls.is_some());
    let (sales_on, sales_at) = listen(args.sales).await?;
    let (gateway_on, gateway_at) = listen(args.gateway).await?;
    let (admin_on, admin_at) = listen(args.admin).await?;
    let mut listeners = vec![
        ("sales", sales_on, sales::router(app.clone())),
        ("gateway", gateway_on, gateway::router(app.clone())),
        ("admin", admin_on, admin::router(app.clone())),
    ];
    let mut metrics_at = None;
    if let Some(address) = args.metrics {
        let (on, at) = listen(address).await?;
        listeners.push(("metrics", on, metrics::router(app.clone())));
        metrics_at = Some(at);
    }
    let bounds = bounds(args.limits.connections_per_address);
    let (end, ended) = watch::channel(false);
    let mut faces = tokio::task::JoinSet::new();
    for (name, listener, router) in listeners {
        let gate = Gate::new(name, bounds, app.metrics().clone());
        let face = Face { listener, tls: tls.clone(), router, gate };
        faces.spawn(face.serve(ended.clone()));
    }
    let (mut signals, hangup) = (signals()?, heard(SignalKind::hangup())?);
    ready(Addresses { sales: sales_at, gateway: gateway_at, admin: admin_at, metrics: metrics_at });
    let [term, int] = &mut signals;
    let mut anchor = Anchor { central, dir: args.place.data.clone(), last: None };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        () = anchor.each_minute() => {}
        () = carry(&app) => {}
        () = reread(hangup, directories, app.central()) => {}
        () = forget(app.central(), args.message_days) => {}
        () = sweep(app.central()) => {}
        () = sweep_seats(app.central()) => {}
    }
    tracing::info!("ending: requests that were begun are finished");
    // A face that has failed is not there to hear it.
    let _ = end.send(true);
    while faces.join_next().await.is_some() {}
    let central = app.central().clone();
    if let Ok(Err(refused)) = tokio::task::spawn_blocking(move || central.book_denials()).await {
        tracing::warn!(?refused, "what was refused last is not booked");
    }
    anchor.write();
    Ok(())
}

/// Reads the vendors' directories again at each SIGHUP.
async fn reread(mut hangup: Signal, directories: Directories, central: &Arc<Central>) {
    let directories = Arc::new(directories);
    while hangup.recv().await.is_some() {
        let (directories, central) = (directories.clone(), central.clone());
        let read = tokio::task::spawn_blocking(move || directories.reread(&central)).await;
        if let Err(error) = read {
            tracing::error!(%error, "the vendors' directories were not read again");
        }
    }
}

/// Carries messages to webhooks, again and again.
async fn carry(app: &App) {
    let mut pauses = tokio::time::interval(CARRY_PAUSE);
    loop {
        pauses.tick().await;
        let (central, carrier) = (app.central().clone(), app.carrier().clone());
        let round = tokio::task::spawn_blocking(move || carrier.round(&central)).await;
        match round {
            Ok(Ok(_)) => {}
            Ok(Err(refusal)) => tracing::warn!(?refusal, "webhooks wait"),
            Err(error) => tracing::error!(%error, "carrying messages failed"),
        }
    }
}

/// Deletes old messages to webhooks, and requests for certificates that nobody proved anything for,
/// now and then.
async fn forget(central: &Arc<Central>, days: u16) {
    let mut hours = tokio::time::interval(FORGET_MESSAGES_EVERY);
    loop {
        hours.tick().await;
        let central = central.clone();
        let kept_ms = i64::from(days) * 24 * 3_600_000;
        let forgotten = tokio::task::spawn_blocking(move || {
            let (store, now_ms) = (central.store(), central.now_ms());
            webhooks::forget(store, now_ms, kept_ms)?;
            central
                .tenants()
                .try_for_each(|tenant| enrollment::forget(store, tenant, now_ms).map(drop))
        });
        if let Ok(Err(error)) = forgotten.await {
            tracing::warn!(%error, "old messages to webhooks, or requests, stay");
        }
    }
}

/// Frees what lapsed, now and then.
async fn sweep(central: &Arc<Central>) {
    let mut pauses = tokio::time::interval(SWEEP_EVERY);
    loop {
        pauses.tick().await;
        let central = central.clone();
        let all = move || central.tenants().try_for_each(|tenant| central.sweep(tenant));
        match tokio::task::spawn_blocking(all).await {
            Ok(Err(refusal)) => tracing::warn!(?refusal, "what lapsed was not looked through"),
            Err(error) => tracing::error!(%error, "what lapsed was not looked through"),
            Ok(Ok(())) => {}
        }
    }
}

/// Frees seats whose time is over, each second; those that nobody asks for would stay taken.
async fn sweep_seats(central: &Arc<Central>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for count in 0_u64.. {
        second.tick().await;
        let (central, forgets) = (central.clone(), count % FORGET_EVERY == 0);
        let swept = tokio::task::spawn_blocking(move || {
            central.desk().sweep(forgets)?;
            central.book_denials()
        });
        if let Ok(Err(refused)) = swept.await {
            tracing::warn!(?refused, "seats were not freed, or refused ones not booked");
        }
    }
}

/// Writes heads of the audit beside the database.
struct Anchor {
    central: Arc<Central>,
    dir: PathBuf,
    last: Option<Head>,
}

impl Anchor {
    async fn each_minute(&mut self) {
        let mut minutes = tokio::time::interval(Duration::from_secs(60));
        loop {
            minutes.tick().await;
            self.write();
        }
    }

    fn write(&mut self) {
        let head = self.central.head();
        if head.number == 0 || self.last.as_ref() == Some(&head) {
            return;
        }
        match anchors::append(&self.dir, &head) {
            Ok(()) => self.last = Some(head),
            Err(error) => tracing::error!(?error, "the audit's head was not written"),
        }
    }
}

fn app(central: Arc<Central>, args: &ServeArgs) -> Result<App, Shown> {
    let local = args.webhooks_to_this_machine;
    let reach = if local { Reach::ThisMachine } else { Reach::World };
    let args = &args.limits;
    let named = args.proxy_header.as_deref().map(str::parse::<HeaderName>).transpose();
    let proxy_header = named.map_err(|error| {
        Shown::usage(format!("--proxy-header: {error}"), "Name it as in X-Forwarded-For.")
    })?;
    // A sixth of a minute's requests may come at once.
    let rate = |count: u32| Rate::per_minute(count, (count / 6).max(1));
    let usual = Rates::default();
    let rates = Rates {
        per_key: args.key_rate.map_or(usual.per_key, rate),
        per_address: args.address_rate.map_or(usual.per_address, rate),
        wrong: usual.wrong,
        times: usual.times,
    };
    Ok(App::with(central, Settings { rates, proxy_header, reach, ..Settings::default() }))
}

/// How many connections may be open: no more than the system lets this process have.
fn bounds(per_address: Option<usize>) -> Bounds {
    let usual = Bounds::default();
    let per_address = per_address.unwrap_or(usual.per_address);
    let wanted = usual.in_all.max(per_address);
    let files = more_files(4 * wanted as u64 + 256);
    let in_all = usize::try_from(files / 5).unwrap_or(usize::MAX).min(wanted).max(1);
    Bounds { per_address: per_address.min(in_all), in_all, ..usual }
}

/// Raises the number of files that may be open at once towards `wanted`; what it is then.
fn more_files(wanted: u64) -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let now = limit.current.unwrap_or(u64::MAX);
    let next = wanted.min(most).max(now);
    limit.current = Some(next);
    if setrlimit(Resource::Nofile, limit).is_ok() { next } else { now }
}

/// Listens. Without encryption only this machine may reach it.
async fn listen(
    address: SocketAddr,
    is_encrypted: bool,
) -> Result<(TcpListener, SocketAddr), Shown> {
    if !is_encrypted && !address.ip().is_loopback() {
        let title = format!("{address} can be reached from other machines, without encryption");
        let hint = "Name a certificate with --tls-cert and --tls-key, or listen on 127.0.0.1 or \
            ::1 behind a proxy that speaks TLS.";
        return Err(Shown::usage(title, hint));
    }
    let failed = |error: std::io::Error| {
        Shown::conflict(
            format!("{address}: {error}"),
            "Choose another address, or end what has it.",
        )
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// What ends the server. Heard from before it says that it is ready.
fn signals() -> Result<[Signal; 2], Shown> {
    Ok([heard(SignalKind::terminate())?, heard(SignalKind::interrupt())?])
}

fn heard(kind: SignalKind) -> Result<Signal, Shown> {
    signal(kind).map_err(|error| Shown::conflict(error, "Repeat the command."))
}

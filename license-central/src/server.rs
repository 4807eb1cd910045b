//! The listeners: three faces on an address each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use protocol::errors::Shown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::api::{App, admin, gateway, sales};
use crate::args::ServeArgs;
use crate::domain::central::Central;

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
}

/// Serves until it is told to end (SIGTERM, SIGINT); what was begun is finished. `ready` is called
/// when all of them listen.
pub async fn serve(
    central: Arc<Central>,
    args: &ServeArgs,
    ready: impl FnOnce(Addresses),
) -> Result<(), Shown> {
    let sweeping = tokio::spawn(sweep(central.clone()));
    let app = App::new(central);
    let (sales_on, sales_at) = listen(args.sales).await?;
    let (gateway_on, gateway_at) = listen(args.gateway).await?;
    let (admin_on, admin_at) = listen(args.admin).await?;
    let (end, ended) = watch::channel(false);
    let mut faces = tokio::task::JoinSet::new();
    for (listener, router) in [
        (sales_on, sales::router(app.clone())),
        (gateway_on, gateway::router(app.clone())),
        (admin_on, admin::router(app)),
    ] {
        faces.spawn(face(listener, router, ended.clone()));
    }
    ready(Addresses { sales: sales_at, gateway: gateway_at, admin: admin_at });
    wait_for_signal().await?;
    tracing::info!("ending: requests that were begun are finished");
    // A face that has failed is not there to hear it.
    let _ = end.send(true);
    while faces.join_next().await.is_some() {}
    sweeping.abort();
    Ok(())
}

/// Frees seats whose time is over, each second; those that nobody asks for would stay taken.
async fn sweep(central: Arc<Central>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for count in 0_u64.. {
        second.tick().await;
        let (central, forgets) = (central.clone(), count % FORGET_EVERY == 0);
        let swept = tokio::task::spawn_blocking(move || central.desk().sweep(forgets)).await;
        if let Ok(Err(refused)) = swept {
            tracing::warn!(?refused, "seats whose time is over were not freed");
        }
    }
}

async fn face(listener: TcpListener, router: Router, mut ended: watch::Receiver<bool>) {
    let until = async move {
        // The sender goes only with the whole server.
        let _ = ended.wait_for(|ended| *ended).await;
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until).await {
        tracing::error!(%error, "a listener failed");
    }
}

/// Listens where only this machine reaches it: what leaves it must be encrypted.
async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Shown> {
    if !address.ip().is_loopback() {
        let title = format!("{address} can be reached from other machines, without encryption");
        let hint = "Listen on 127.0.0.1 or ::1, behind a proxy that speaks TLS.";
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

async fn wait_for_signal() -> Result<(), Shown> {
    let failed = |error: std::io::Error| Shown::conflict(error, "Repeat the command.");
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

//! Load over HTTP: so many connections that stay open, each with one request after the other.

use std::net::SocketAddr;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::Result;
use crate::measure::median;

/// What a load took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Wall time of one request, over all connections.
    pub wall_s: f64,
    /// Processor time of the server for one request.
    pub cpu_s: f64,
    /// Time to an answer: the median, and what 99 of 100 keep.
    pub p50_s: f64,
    /// See above.
    pub p99_s: f64,
}

impl Load {
    pub(super) fn median(all: &[Load]) -> Load {
        let of = |field: fn(&Load) -> f64| median(all.iter().map(field).collect());
        Load {
            wall_s: of(|load| load.wall_s),
            cpu_s: of(|load| load.cpu_s),
            p50_s: of(|load| load.p50_s),
            p99_s: of(|load| load.p99_s),
        }
    }
}

/// Sends `count` requests from a thread of this process, in which the server runs too: its
/// processor time is that of the process without that of the thread. `request` makes the bytes of
/// each.
pub(super) fn run(
    at: SocketAddr,
    connections: usize,
    count: usize,
    request: &dyn Fn(usize) -> Vec<u8>,
) -> Result<Load> {
    // Numbers go on from run to run, so that the licenses do too.
    let first = NEXT.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
    let requests: Vec<Vec<u8>> = (first..first + count).map(request).collect();
    let (start, process_s, thread_s) = (Instant::now(), cpu_of(PROCESS), cpu_of(THREAD));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut took: Vec<f64> = runtime.block_on(async {
        // By turns, so that what is drawn first is sent first: sessions rise with time.
        let all = (0..connections).map(|first| {
            let own: Vec<_> = requests.iter().skip(first).step_by(connections).cloned().collect();
            tokio::spawn(async move { connection(at, &own).await.map_err(|e| e.to_string()) })
        });
        let all: Vec<_> = all.collect();
        let mut took = Vec::with_capacity(count);
        for one in all {
            took.extend(one.await??);
        }
        Ok::<_, Box<dyn std::error::Error>>(took)
    })?;
    let wall_s = start.elapsed().as_secs_f64();
    let cpu_s = cpu_of(PROCESS) - process_s - (cpu_of(THREAD) - thread_s);
    took.sort_by(f64::total_cmp);
    let each = count as f64;
    Ok(Load {
        wall_s: wall_s / each,
        cpu_s: cpu_s / each,
        p50_s: took[count / 2],
        p99_s: took[count * 99 / 100],
    })
}

/// Threads for a server, by the name under which a profile shows them.
pub(super) fn runtime(name: &str) -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().thread_name(name).enable_all().build()?)
}

static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

const PROCESS: ClockId = ClockId::ProcessCPUTime;
const THREAD: ClockId = ClockId::ThreadCPUTime;

fn cpu_of(clock: ClockId) -> f64 {
    let now = clock_gettime(clock);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Times of the answers of one connection.
async fn connection(at: SocketAddr, requests: &[Vec<u8>]) -> Result<Vec<f64>> {
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let mut took = Vec::with_capacity(requests.len());
    let mut buffer = vec![0; 16 * 1024];
    for request in requests {
        let start = Instant::now();
        send(&stream, request).await?;
        answer(&stream, &mut buffer).await?;
        took.push(start.elapsed().as_secs_f64());
    }
    Ok(took)
}

async fn send(stream: &TcpStream, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads one answer to its end, which must be a good one.
async fn answer(stream: &TcpStream, buffer: &mut [u8]) -> Result<()> {
    let mut len = 0;
    loop {
        stream.readable().await?;
        match stream.try_read(&mut buffer[len..]) {
            Ok(0) => return Err("the server closed the connection".into()),
            Ok(count) => len += count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        }
        let seen = &buffer[..len];
        let Some(head) = seen.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&seen[..head])?;
        let header = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        });
        let body = header.ok_or("an answer without its length")??;
        if len >= head + 4 + body {
            if text.starts_with("HTTP/1.1 200") {
                return Ok(());
            }
            return Err(format!("refused: {}", String::from_utf8_lossy(seen)).into());
        }
    }
}

/// A POST with JSON, by somebody with a key or nobody.
pub(super) fn post(path: &str, key: Option<&str>, body: &str) -> Vec<u8> {
    let key = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\n{key}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The body of a checkout.
pub(super) fn checkout() -> String {
    format!("{{\"product\":7,\"session\":\"{}\"}}", uuid::Uuid::now_v7())
}

//! `DongleLink`: one channel on one dongle, a request out and its response back.
//!
//! A link that lost anything is dead and stays so: it cannot know whether the dongle carried the
//! request out. Its owner opens another one and repeats the command under the command's own id.

#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use protocol::frame::{
    Allocation, Cid, Command, ErrorCode, FRAME_VERSION, FrameError, Heard, Listener, MESSAGE_MAX,
    Nonce, Patience, TooLong, allocation_request, hear_allocation, split,
};

use super::ticks::{SystemTicks, Ticks};
use super::{PipeError, Report, ReportPipe};

/// Reports of others that are thrown away before a request is sent.
///
/// The kernel keeps 64 reports for each reader of a dongle and drops the newest: whoever has slept
/// among busy neighbors must make room first, or misses its own answer. More than four times that
/// is a flood, which is left to the time-outs.
const STALE_MAX: usize = 256;
/// First pause after a dongle said that it is busy, in milliseconds; it doubles each time.
const BUSY_PAUSE_MS: u64 = 4;
/// Longest such pause, in milliseconds.
const BUSY_PAUSE_MAX_MS: u64 = 64;

/// How long a link waits, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkTimes {
    /// For a channel.
    pub open_ms: u64,
    /// For an answer while the dongle gives no sign of life.
    pub silence_ms: u64,
    /// For an answer in all, however often the dongle says that it is at work or busy.
    pub total_ms: u64,
}

impl Default for LinkTimes {
    fn default() -> Self {
        Self { open_ms: 2_000, silence_ms: 2_000, total_ms: 30_000 }
    }
}

/// Why a link gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The request is too long to be sent. The link lives on.
    #[error(transparent)]
    TooLong(TooLong),
    /// Others kept the dongle busy all the time; it did not begin. The link lives on.
    #[error("the dongle was busy with other programs all the time")]
    Busy,
    /// All channels of the dongle are in use.
    #[error("the dongle serves as many programs as it can")]
    NoChannel,
    /// The dongle speaks another version of the report layer.
    #[error("the dongle speaks version {0} of the report layer, this program {FRAME_VERSION}")]
    Version(u8),
    /// No answer within the time-out. The link is dead.
    #[error("the dongle gave no answer in time")]
    NoAnswer,
    /// The dongle did not take the request. The link is dead.
    #[error("{0}")]
    Refused(ErrorCode),
    /// The answer came in pieces that do not fit. The link is dead.
    #[error("the dongle's answer is broken: {0}")]
    Garbled(FrameError),
    /// The pipe failed. The link is dead.
    #[error(transparent)]
    Pipe(#[from] PipeError),
    /// This link has lost an answer before and is of no more use.
    #[error("this channel to the dongle has lost an answer; open another one")]
    Dead,
}

impl LinkError {
    /// Whether nothing was lost, so that the link may be used again.
    fn harmless(&self) -> bool {
        matches!(self, Self::TooLong(_) | Self::Busy)
    }
}

/// What one attempt at a request came to.
enum Attempt {
    Answer(Vec<u8>),
    Busy,
}

/// A channel of one's own on the dongle behind `P`; dropping it gives the channel back.
#[derive(Debug)]
pub struct DongleLink<P: ReportPipe, T: Ticks = SystemTicks> {
    pipe: P,
    ticks: T,
    times: LinkTimes,
    allocation: Allocation,
    ear: Listener<Vec<u8>>,
    dead: bool,
    pipe_failed: bool,
}

impl<P: ReportPipe> DongleLink<P> {
    /// Opens a channel with a nonce from the system and the usual times.
    pub fn open(pipe: P) -> Result<Self, LinkError> {
        let mut nonce = Nonce::default();
        getrandom::fill(&mut nonce).map_err(|e| PipeError::Io(io::Error::other(e)))?;
        Self::open_with(pipe, SystemTicks::default(), nonce, LinkTimes::default())
    }
}

impl<P: ReportPipe, T: Ticks> DongleLink<P, T> {
    /// Opens a channel with the caller's clock, nonce and times.
    pub fn open_with(
        mut pipe: P,
        ticks: T,
        nonce: Nonce,
        times: LinkTimes,
    ) -> Result<Self, LinkError> {
        let allocation = allocate(&mut pipe, &ticks, &nonce, times.open_ms)?;
        if allocation.version != FRAME_VERSION {
            return Err(LinkError::Version(allocation.version));
        }
        if allocation.cid == Cid::NONE {
            return Err(LinkError::NoChannel);
        }
        let ear = Listener::new(allocation.cid, vec![0; MESSAGE_MAX]);
        Ok(Self { pipe, ticks, times, allocation, ear, dead: false, pipe_failed: false })
    }

    /// The channel's number.
    pub fn cid(&self) -> Cid {
        self.allocation.cid
    }

    /// What the dongle said it can do; see [`Allocation::capabilities`].
    pub fn capabilities(&self) -> u8 {
        self.allocation.capabilities
    }

    /// Whether the link has lost something and answers nothing but [`LinkError::Dead`].
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// Sends `request` and waits for its response, each of at most [`MESSAGE_MAX`] bytes.
    ///
    /// After [`LinkError::Busy`] and [`LinkError::TooLong`] the dongle has not seen the request
    /// and the link lives on; after any other error it is dead.
    pub fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        if self.dead {
            return Err(LinkError::Dead);
        }
        let result = self.transact(request);
        if let Err(error) = &result {
            self.dead = !error.harmless();
            self.pipe_failed = matches!(error, LinkError::Pipe(_));
        }
        result
    }

    fn transact(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        let LinkTimes { silence_ms, total_ms, .. } = self.times;
        let mut patience = Patience::begin(self.ticks.now_ms(), silence_ms, total_ms);
        let mut pause_ms = BUSY_PAUSE_MS;
        loop {
            self.forget_stale()?;
            for report in split(self.cid(), Command::Msg, request).map_err(LinkError::TooLong)? {
                self.pipe.send(&report)?;
            }
            if let Attempt::Answer(answer) = self.listen(&mut patience)? {
                return Ok(answer);
            }
            let now_ms = self.ticks.now_ms();
            patience.extend(now_ms);
            // Neighbors that were refused together shall not come back together.
            let until_ms = now_ms + pause_ms + u64::from(self.cid().0 % 4);
            if until_ms >= patience.deadline_ms() {
                return Err(LinkError::Busy);
            }
            self.pause(until_ms)?;
            pause_ms = (pause_ms * 2).min(BUSY_PAUSE_MAX_MS);
        }
    }

    /// Waits for what becomes of the request just sent.
    fn listen(&mut self, patience: &mut Patience) -> Result<Attempt, LinkError> {
        loop {
            let answer_due_ms = self.ear.deadline_ms().unwrap_or(u64::MAX);
            let deadline_ms = patience.deadline_ms().min(answer_due_ms);
            let Some(report) = receive_until(&mut self.pipe, &self.ticks, deadline_ms)? else {
                return Err(match self.ear.deadline_ms() {
                    Some(_) => LinkError::Garbled(FrameError::Timeout),
                    None => LinkError::NoAnswer,
                });
            };
            let now_ms = self.ticks.now_ms();
            match self.ear.hear(&report, now_ms) {
                Heard::Nothing => {}
                Heard::Working => patience.extend(now_ms),
                Heard::Busy => return Ok(Attempt::Busy),
                Heard::Answer(answer) => return Ok(Attempt::Answer(answer.to_vec())),
                Heard::Refused(code) => return Err(LinkError::Refused(code)),
                Heard::Lost(error) => return Err(LinkError::Garbled(error)),
            }
        }
    }

    /// Throws away what came while nobody listened.
    fn forget_stale(&mut self) -> Result<(), PipeError> {
        self.ear.reset();
        for _ in 0..STALE_MAX {
            match self.pipe.receive(Duration::ZERO) {
                Ok(_) => {}
                Err(PipeError::TimedOut) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lets time pass, reading on so that nothing piles up.
    fn pause(&mut self, until_ms: u64) -> Result<(), PipeError> {
        while receive_until(&mut self.pipe, &self.ticks, until_ms)?.is_some() {}
        Ok(())
    }
}

impl<P: ReportPipe, T: Ticks> Drop for DongleLink<P, T> {
    fn drop(&mut self) {
        if self.pipe_failed {
            return;
        }
        // The dongle reclaims channels by itself: a close that is lost harms nobody.
        for report in split(self.cid(), Command::Close, &[]).into_iter().flatten() {
            let _ = self.pipe.send(&report);
        }
    }
}

/// Asks for a channel and waits for the answer that bears `nonce`.
fn allocate<P: ReportPipe>(
    pipe: &mut P,
    ticks: &impl Ticks,
    nonce: &Nonce,
    timeout_ms: u64,
) -> Result<Allocation, LinkError> {
    let deadline_ms = ticks.now_ms().saturating_add(timeout_ms);
    pipe.send(&allocation_request(nonce))?;
    while let Some(report) = receive_until(pipe, ticks, deadline_ms)? {
        if let Some(allocation) = hear_allocation(&report, nonce) {
            return Ok(allocation);
        }
    }
    Err(LinkError::NoAnswer)
}

/// The next report before `deadline_ms`, if one comes. A pipe full of reports does not outlast it.
fn receive_until<P: ReportPipe>(
    pipe: &mut P,
    ticks: &impl Ticks,
    deadline_ms: u64,
) -> Result<Option<Report>, PipeError> {
    loop {
        let left_ms = deadline_ms.saturating_sub(ticks.now_ms());
        if left_ms == 0 {
            return Ok(None);
        }
        match pipe.receive(Duration::from_millis(left_ms)) {
            Err(PipeError::TimedOut) => {}
            other => return other.map(Some),
        }
    }
}

//! Scenes: what is used, and how often what may be tried.

/// What becomes of a reservation whose session is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of it is charged.
    Charge,
    /// It is held until the vendor decides.
    Hold,
}

/// What is played.
#[derive(Debug, Clone)]
pub struct Scene {
    /// How it is called in figures.
    pub name: &'static str,
    /// Units that the container holds as it begins.
    pub units: i8,
    /// The uses: how many units each of them reserves.
    pub uses: Vec<i8>,
    /// The policy for lost sessions.
    pub loss: Loss,
    /// Updates that the vendor makes, each of one unit more or one decision.
    pub updates: u8,
    /// Messages with log entries that are sent.
    pub uploads: u8,
    /// Whether an image of the container is copied, and put back once.
    pub rollback: bool,
    /// Whether a counter that cannot go back stands beside its memory.
    pub anchored: bool,
}

/// The scenes that are played each time.
pub fn short() -> Vec<Scene> {
    vec![charge(), hold(), log(), rollback(), anchored()]
}

/// The same with more uses, more updates and more messages.
pub fn long() -> Vec<Scene> {
    vec![
        Scene { name: "charge, long", uses: vec![2, 1, 1], ..charge() },
        Scene { name: "log, long", uses: vec![1, 1], updates: 1, ..log() },
        Scene { name: "rollback, long", uploads: 3, ..rollback() },
        Scene { name: "hold, long", units: 3, uses: vec![2, 1], ..hold() },
    ]
}

/// Lost sessions are charged.
pub fn charge() -> Scene {
    Scene {
        name: "charge",
        units: 2,
        uses: vec![2, 1],
        loss: Loss::Charge,
        updates: 1,
        uploads: 1,
        rollback: false,
        anchored: false,
    }
}

/// Lost sessions are held until the vendor decides.
pub fn hold() -> Scene {
    Scene { name: "hold", uses: vec![2], loss: Loss::Hold, updates: 2, uploads: 2, ..charge() }
}

/// The log travels in pieces, late and more than once.
pub fn log() -> Scene {
    Scene { name: "log", uses: vec![1], updates: 2, uploads: 3, ..charge() }
}

/// An old image of the container is put back.
pub fn rollback() -> Scene {
    Scene { name: "rollback", uses: vec![1, 1], updates: 0, uploads: 2, rollback: true, ..charge() }
}

/// The same attack on a container with an anchor.
pub fn anchored() -> Scene {
    Scene { name: "anchored", uploads: 1, anchored: true, ..rollback() }
}

//! What is in a TPM: its indices, and the objects and sessions that are loaded.

use super::codes::CommandCode;
use super::instance::Swtpm;
use super::raw::{Connection, message};

/// `TPM_CAP_HANDLES` (TCG TPM 2.0 Library, Part 2, 6.12).
const HANDLES: u32 = 1;

/// First handles of their kinds (Part 2, 7.4).
const NV_INDICES: u32 = 0x0100_0000;
const LOADED_SESSIONS: u32 = 0x0200_0000;
const SAVED_SESSIONS: u32 = 0x0300_0000;
const TRANSIENT_OBJECTS: u32 = 0x8000_0000;

/// More of one kind than any TPM has.
const HANDLES_MAX: u32 = 254;

/// Bytes of a response before the handles: its head, whether there are more, the capability, the
/// count.
const BEFORE_LEN: usize = 10 + 1 + 4 + 4;

impl Swtpm {
    /// Indices that are defined.
    pub fn nv_indices(&self) -> Vec<u32> {
        handles(&mut self.connection(), NV_INDICES)
    }

    /// Frees what killed programs have left: transient objects, loaded and saved sessions. How many
    /// there were.
    pub fn flush_all(&self) -> usize {
        let mut connection = self.connection();
        let kinds = [TRANSIENT_OBJECTS, LOADED_SESSIONS, SAVED_SESSIONS];
        let left = kinds.map(|kind| handles(&mut connection, kind)).concat();
        for handle in &left {
            let flush = message(CommandCode::FLUSH_CONTEXT.0, &handle.to_be_bytes());
            let answer = connection.transmit(&flush).unwrap();
            assert_eq!(answer, message(0, &[]), "{handle:#x} is flushed");
        }
        left.len()
    }

    fn connection(&self) -> Connection {
        Connection::open(self.ports().data()).unwrap()
    }
}

/// Handles of a kind that are in use: `TPM2_GetCapability`.
fn handles(connection: &mut Connection, first: u32) -> Vec<u32> {
    let asked = [HANDLES, first, HANDLES_MAX].map(u32::to_be_bytes).concat();
    let answer = connection.transmit(&message(CommandCode::GET_CAPABILITY.0, &asked)).unwrap();
    let (handles, rest) = answer[BEFORE_LEN..].as_chunks();
    assert!(rest.is_empty(), "whole handles");
    handles.iter().map(|handle| u32::from_be_bytes(*handle)).collect()
}

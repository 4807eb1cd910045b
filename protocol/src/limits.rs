//! Every maximum, and how they relate.

/// Bytes of one message between host and container, channel overhead included.
pub const MESSAGE_LEN_MAX: usize = 4096;

/// Bytes that a transport message of the channel adds: the authentication tag.
pub const CHANNEL_OVERHEAD_LEN: usize = 16;

/// Bytes of an encoded command or reply.
pub const COMMAND_LEN_MAX: usize = MESSAGE_LEN_MAX - CHANNEL_OVERHEAD_LEN;

/// Bytes of an update's body.
pub const UPDATE_BODY_LEN_MAX: usize = 64 * 1024;

/// Bytes of one operation in an update.
pub const OP_LEN_MAX: usize = 1024;

/// Operations in one update.
pub const UPDATE_OPS_MAX: usize = 512;

/// Bytes of an update's body in one chunk.
pub const UPDATE_CHUNK_LEN_MAX: usize = 1024;

/// Bytes of the body of a context or a receipt.
pub const STATEMENT_BODY_LEN_MAX: usize = 512;

/// Bytes of the body of a root.
pub const ROOT_BODY_LEN_MAX: usize = 1024;

/// Bytes of the body of a device certificate.
pub const DEVICE_BODY_LEN_MAX: usize = 256;

/// Bytes of the body of a request for a certificate: a TPM's certificates are the most of it.
pub const ENROLLMENT_BODY_LEN_MAX: usize = 16 * 1024;

/// Bytes of the body of the proof that belongs to it.
pub const ENROLLMENT_PROOF_LEN_MAX: usize = 4 * 1024;

/// Bytes of the body of an artifact header.
pub const ARTIFACT_BODY_LEN_MAX: usize = 16 * 1024;

/// Bytes of an encoded proof.
pub const PROOF_LEN_MAX: usize = 1024;

/// Bytes of the body of a lease.
pub const LEASE_BODY_LEN_MAX: usize = 64;

/// Bytes of an encoded proof of suite 2: place and path in the tree, two signatures, the key.
#[cfg(feature = "aws-lc")]
pub const HYBRID_PROOF_LEN_MAX: usize = 6 * 1024;

/// Bytes of an object without its body.
pub const HEAD_LEN_MAX: usize = 144 + 2 + PROOF_LEN_MAX;

/// Bytes of a root as an object.
pub const ROOT_OBJECT_LEN_MAX: usize = HEAD_LEN_MAX + ROOT_BODY_LEN_MAX;

/// Bytes of a context, receipt or device certificate as an object: its proof is one signature, or a
/// place in a tree.
pub const STATEMENT_LEN_MAX: usize = 144 + 2 + PROOF_LEN_MAX + STATEMENT_BODY_LEN_MAX;

/// Hashes on the path from a leaf to the signed root: trees of up to 2^20 leaves.
pub const TREE_DEPTH_MAX: usize = 20;

/// Signatures on one object of a role with a threshold: all keys of a root and of the one before.
pub const THRESHOLD_SIGNATURES_MAX: usize = 2 * ROLE_KEYS_MAX;

/// Keys of one role.
pub const ROLE_KEYS_MAX: usize = 5;

/// Keys of all roles of one root.
pub const ROOT_KEYS_MAX: usize = 20;

/// Roots in front of an artifact, and so the highest version of a root that signs one.
pub const ARTIFACT_ROOTS_MAX: usize = 16;

/// Bytes of the body of a delegation.
pub const DELEGATION_BODY_LEN_MAX: usize = 160;

/// Bytes of the name of whom a right was handed on to.
pub const DELEGATE_NAME_LEN_MAX: usize = 64;

/// Delegations between a root's key and the one that signs an update.
pub const DELEGATION_DEPTH_MAX: u8 = 2;

/// Keys in one revocation.
pub const REVOKED_KEYS_MAX: usize = 20;

/// Containers in one revocation.
pub const REVOKED_CONTAINERS_MAX: usize = 64;

/// Ranges of firmware versions in one revocation.
pub const REVOKED_FIRMWARE_MAX: usize = 16;

/// Bytes of the body of a revocation.
pub const REVOCATION_BODY_LEN_MAX: usize = 1536;

/// Bytes of an object of trust: a root, a delegation or a revocation.
pub const TRUST_OBJECT_LEN_MAX: usize = HEAD_LEN_MAX + REVOCATION_BODY_LEN_MAX;

/// Bytes that a container keeps to know whom a firm trusts: root and revoked keys.
pub const TRUST_KEPT_LEN_MAX: usize = 1024;

/// Roles in one root.
pub const ROLES_MAX: usize = 8;

/// Slots of an artifact header.
pub const SLOTS_MAX: usize = 16;

/// Options of one Product Item.
pub const ITEM_OPTIONS_MAX: usize = 32;

/// Firms in one container.
pub const FIRMS_MAX: u8 = 64;

/// Receipts a container keeps for each firm.
pub const RECEIPTS_KEPT: u64 = 8;

/// Updates that may be outstanding for a container and firm.
pub const UPDATES_OUTSTANDING_MAX: u64 = 8;

/// Sessions of a dongle.
pub const SESSIONS_MAX: usize = 32;

/// Sessions of a home that is a process, and seat entries in it.
pub const SESSIONS_OF_PROCESS_MAX: usize = 4096;

/// Seat entries of a dongle.
pub const SEAT_ENTRIES_MAX: usize = 128;

/// Seconds for which a container keeps a seat longer than its holder does: clocks drift, and
/// answers take their time.
pub const SEAT_GRACE_S: u16 = 2;

/// Machines that a container may change between in power sessions of less than [`SETTLE_S`].
pub const QUICK_MOVES_MAX: u8 = 3;

/// Seconds of power after which a container counts as settled on a machine.
pub const SETTLE_S: u32 = 60;

/// Bytes of a container's name, given by its owner.
pub const CONTAINER_NAME_LEN_MAX: usize = 64;

/// Bytes of a PIN.
pub const PIN_LEN_MAX: usize = 64;

/// Wrong PINs, or wrong recovery codes, that a container stands.
pub const PIN_TRIES: u8 = 8;

/// Keys of vendors in one container.
pub const VENDOR_KEYS_MAX: u8 = 32;

/// Bytes of what a vendor's secret is expanded with.
pub const KEY_INFO_LEN_MAX: usize = 128;

/// Bytes of a firm's name.
pub const FIRM_NAME_LEN_MAX: usize = 64;

/// Bytes of the text of a Product Item.
pub const ITEM_TEXT_LEN_MAX: usize = 256;

/// Bytes of a user's name.
pub const USER_NAME_LEN_MAX: usize = 64;

/// Countries of one Product Item.
pub const REGIONS_MAX: usize = 32;

/// Containers that a transfer may name as targets.
pub const TRANSFER_TARGETS_MAX: usize = 8;

/// Earlier holders that an entry remembers.
pub const HISTORY_MAX: usize = 8;

/// Bytes of a block that a container encrypts or decrypts at once.
pub const BLOCK_LEN_MAX: usize = 2048;

/// The same, with nonce and tag.
pub const SEALED_BLOCK_LEN_MAX: usize = BLOCK_LEN_MAX + 12 + 16;

/// The same in a file, with all that is needed to open it.
pub const SEALED_BLOCK_FILE_LEN_MAX: usize = SEALED_BLOCK_LEN_MAX + 128;

/// Bytes of a data field.
pub const DATA_LEN_MAX: usize = 256;

/// Extended protected, hidden, and secret data fields of one entry, of each.
pub const DATA_FIELDS_MAX: u8 = 32;

/// Wrong access codes for hidden data in one power session.
pub const ACCESS_CODE_TRIES: u8 = 8;

/// Reservations of units that one entry may have open.
pub const RESERVATIONS_MAX: usize = 16;

/// Finished commands on units that one entry remembers, so that none is done twice.
pub const UNIT_OPS_KEPT: usize = 16;

/// Entries of a firm's usage log that wait for an acknowledgement.
pub const LOG_ENTRIES_MAX: u64 = 512;

/// Entries of a usage log in one reply.
pub const LOG_ENTRIES_PER_REPLY: usize = 16;

/// Seconds for which a container shows itself when it is asked to.
pub const IDENTIFY_S_MAX: u8 = 60;

/// Bytes of one record of a firm's configuration.
pub const CONFIGURATION_VALUE_LEN_MAX: usize = OP_LEN_MAX;

/// Records of a configuration in one reply.
pub const CONFIGURATION_PER_REPLY: usize = 64;

/// Bytes of a firm's configuration as a whole.
pub const CONFIGURATION_LEN_MAX: usize = 1024 * 1024;

/// Seconds for which a nonce for time waits for its answer.
pub const TIME_NONCE_S: u64 = 120;

/// Seconds for which a begun update waits for its next chunk.
pub const UPDATE_IDLE_S: u64 = 60;

const _: () = assert!(UPDATE_CHUNK_LEN_MAX + 64 <= COMMAND_LEN_MAX);
const _: () = assert!(OP_LEN_MAX + 2 <= UPDATE_BODY_LEN_MAX);
const _: () = assert!(CONFIGURATION_VALUE_LEN_MAX + 16 <= COMMAND_LEN_MAX);
const _: () = assert!(RECEIPTS_KEPT >= UPDATES_OUTSTANDING_MAX);
const _: () = assert!(ROOT_OBJECT_LEN_MAX + HEAD_LEN_MAX + 8 <= COMMAND_LEN_MAX);
const _: () = assert!(SEALED_BLOCK_LEN_MAX + 16 <= COMMAND_LEN_MAX);
const _: () = assert!(STATEMENT_LEN_MAX + 8 <= COMMAND_LEN_MAX);
const _: () = assert!(TRUST_OBJECT_LEN_MAX + 8 <= COMMAND_LEN_MAX);
const _: () = assert!(TRUST_OBJECT_LEN_MAX >= ROOT_OBJECT_LEN_MAX);
const _: () = assert!(TRUST_OBJECT_LEN_MAX >= HEAD_LEN_MAX + DELEGATION_BODY_LEN_MAX);
const _: () = assert!(8 + THRESHOLD_SIGNATURES_MAX * (8 + 64) <= PROOF_LEN_MAX);
const _: () = assert!(
    REVOKED_KEYS_MAX * 8 + REVOKED_CONTAINERS_MAX * 16 + REVOKED_FIRMWARE_MAX * 10 + 8
        <= REVOCATION_BODY_LEN_MAX
);
const _: () = assert!(DELEGATE_NAME_LEN_MAX + 33 + 4 * 5 + 8 <= DELEGATION_BODY_LEN_MAX);
// Mode, name, number and roles; then version, hash and epochs; then the revoked keys.
const _: () = assert!(
    1 + 1
        + FIRM_NAME_LEN_MAX
        + 5
        + 1
        + ROLES_MAX * 3
        + ROOT_KEYS_MAX * 33
        + (3 * 5 + 2 * 32)
        + (1 + REVOKED_KEYS_MAX * 8)
        <= TRUST_KEPT_LEN_MAX
);

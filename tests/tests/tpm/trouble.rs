//! A TPM in trouble: each trouble is told by its name, and nothing is lost by it.

use std::fs;
use std::path::PathBuf;

use protocol::errors::ErrorCode;
use strongroom_tests::swtpm::{Act, CommandCode, Connection, Proxy, Swtpm};
use tpm::chip::{Chip, Hierarchy, Passwords, Trouble};

use crate::bare::{Bare, commit};
use crate::keys::{STORAGE_KEY, keep_primary};
use crate::soft::Soft;

/// A file with a password of a hierarchy, beside a container.
fn password(soft: &Soft, text: &str) -> PathBuf {
    let file = soft.folder().with_file_name("password");
    fs::write(&file, format!("{text}\n")).expect("room");
    file
}

/// What a refused creation shows.
fn shown(code: ErrorCode) -> String {
    code.failure().shown_code()
}

#[track_caller]
fn is_not_made(soft: &Soft, code: ErrorCode) {
    let said = soft.create().expect_err("it is refused");
    assert!(said.contains(&shown(code)), "{said}");
}

const OWNER: &str = "STRONGROOM_TPM_OWNER_PASSWORD_FILE";

#[test]
fn an_owner_with_a_password_is_asked_for_it() {
    let tpm = Swtpm::blank();
    let mut soft = Soft::new(&tpm.tcti());
    tpm.tools().ok("tpm2_changeauth -c o secret");
    soft.serve();
    let refused = soft.open().err().expect("it needs a storage key");
    assert!(refused.is(ErrorCode::TpmPassword) && refused.failure.a == 0, "{refused}");
    soft.kill();
    soft.set_env(OWNER, &password(&soft, "wrong"));
    soft.serve();
    assert_eq!(soft.refusal(), ErrorCode::TpmPassword);
    soft.kill();
    soft.set_env(OWNER, &password(&soft, "secret"));
    soft.serve();
    soft.set(1).expect("it opens");
    assert_eq!(soft.value(), 1);
    let mut other = Soft::empty(&tpm.tcti());
    is_not_made(&other, ErrorCode::TpmPassword);
    other.set_env(OWNER, &password(&other, "secret"));
    other.create().expect("its owner agrees");
    assert_eq!(tpm.nv_indices().len(), 3);
}

/// With a storage key that is kept, only what is defined and deleted needs the owner.
#[test]
fn an_owners_password_is_not_needed_to_open_where_the_storage_key_is_kept() {
    let tpm = Swtpm::blank();
    keep_primary(&tpm, "ecc", STORAGE_KEY);
    let (bare, vault) = Bare::new(&tpm.tcti());
    drop(vault);
    tpm.tools().ok("tpm2_changeauth -c o secret");
    let (mut vault, _) = bare.open(&tpm.tcti()).expect("it opens");
    commit(&mut vault, 1).expect("nothing is in its way");
    is_not_made(&Soft::empty(&tpm.tcti()), ErrorCode::TpmPassword);
}

#[test]
fn a_password_of_the_endorsement_hierarchy_is_needed_to_prove_who_the_tpm_is_and_for_nothing_else()
{
    let tpm = Swtpm::blank();
    tpm.tools().ok("tpm2_changeauth -c e secret");
    let (bare, vault) = Bare::new(&tpm.tcti());
    drop(vault);
    bare.open(&tpm.tcti()).expect("it opens");
    let tcti = tpm.tcti().parse().expect("a TPM of tests");
    let attested = |passwords: &Passwords| {
        Chip::open(&tcti, None, passwords).expect("a TPM").attestation_key([7; 32])
    };
    let refused = attested(&Passwords::default());
    assert_eq!(refused, Err(Trouble::Password(Hierarchy::Endorsement)));
    let endorsement = b"secret".to_vec().into();
    attested(&Passwords { endorsement, ..Passwords::default() }).expect("its owner agrees");
}

#[test]
fn a_tpm_that_is_locked_out_against_guessing_serves_us_all_the_same() {
    let tpm = Swtpm::blank();
    let (bare, vault) = Bare::new(&tpm.tcti());
    drop(vault);
    let tools = tpm.tools();
    tools.ok("tpm2_nvdefine 0x1800001 -C o -s 8 -a authread|authwrite -p another");
    tools.ok("tpm2_dictionarylockout --setup-parameters --max-tries=1");
    let guess = || tools.run("tpm2_nvread 0x1800001 -C 0x1800001 -P guess");
    (0..2).for_each(|_| assert!(!guess().status.success()));
    let said = String::from_utf8(guess().stderr).expect("text");
    assert!(said.contains("0x921"), "{said}");
    let (mut vault, _) = bare.open(&tpm.tcti()).expect("it opens");
    commit(&mut vault, 1).expect("nothing is in its way");
    drop(vault);
    Soft::new(&tpm.tcti());
    assert_eq!(bare.open(&tpm.tcti()).expect("it opens").1, 1);
}

#[test]
fn a_hierarchy_that_is_switched_off_is_no_cleared_tpm() {
    for is_kept in [false, true] {
        let tpm = Swtpm::blank();
        if is_kept {
            keep_primary(&tpm, "ecc", STORAGE_KEY);
        }
        let (bare, vault) = Bare::new(&tpm.tcti());
        drop(vault);
        tpm.tools().ok("tpm2_hierarchycontrol -C p shEnable clear");
        assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::TpmDisabled, "kept: {is_kept}");
        is_not_made(&Soft::empty(&tpm.tcti()), ErrorCode::TpmDisabled);
        tpm.tools().ok("tpm2_hierarchycontrol -C p shEnable set");
        assert_eq!(bare.open(&tpm.tcti()).expect("it opens").1, 0);
    }
}

#[test]
fn a_tpm_without_room_for_an_index_says_so() {
    let tpm = Swtpm::blank();
    let (tools, soft) = (tpm.tools(), Soft::empty(&tpm.tcti()));
    let mut taken = Vec::new();
    for size in [2048, 256, 32, 1] {
        for _ in 0..200 {
            let index = format!("{:#x}", 0x0180_0000 + taken.len());
            let define = format!("tpm2_nvdefine {index} -C o -s {size} -a ownerread|ownerwrite");
            if !tools.run(&define).status.success() {
                break;
            }
            taken.push(index);
        }
    }
    is_not_made(&soft, ErrorCode::TpmFull);
    for index in taken {
        tools.ok(&format!("tpm2_nvundefine {index} -C o"));
    }
    soft.create().expect("there is room");
    assert_eq!(tpm.nv_indices().len(), 2);
}

#[test]
fn a_place_that_another_program_has_is_not_used() {
    let tpm = Swtpm::blank();
    let (tools, soft) = (tpm.tools(), Soft::empty(&tpm.tcti()));
    // An index that could pass for the counter, but that its owner sets as he likes.
    let attributes = "authread|authwrite|no_da";
    tools.ok(&format!("tpm2_nvdefine 0x184c000 -C o -s 8 -a {attributes}"));
    is_not_made(&soft, ErrorCode::TpmFull);
    assert_eq!(tpm.nv_indices(), [0x0184_c000]);
    tools.ok("tpm2_nvundefine 0x184c000 -C o");
    Soft::new(&tpm.tcti());
    // Taken after it was found free.
    let proxy = Proxy::of(&tpm);
    let soft = soft.at(&proxy.tcti());
    let held = proxy.hold_next(CommandCode::NV_DEFINE_SPACE);
    std::thread::scope(|scope| {
        let making = scope.spawn(|| soft.create());
        held.wait();
        tools.ok("tpm2_nvdefine 0x184c002 -C o -s 8 -a ownerread|ownerwrite");
        held.let_go();
        let said = making.join().expect("it does not panic").expect_err("it is taken");
        assert!(said.contains(&shown(ErrorCode::TpmFull)), "{said}");
    });
    soft.create().expect("there are other places");
    assert_eq!(tpm.nv_indices(), [0x0184_c000, 0x0184_c001, 0x0184_c002, 0x0184_c003]);
}

#[test]
fn sessions_and_objects_that_others_have_used_up_are_told_by_their_name() {
    let tpm = Swtpm::blank();
    let (bare, vault) = Bare::new(&tpm.tcti());
    drop(vault);
    // TPM2_StartAuthSession: no salt, not bound, 16 bytes nonce, HMAC, no cipher, SHA-256.
    let mut start = vec![0x80, 1, 0, 0, 0, 43, 0, 0, 1, 0x76, 0x40, 0, 0, 7, 0x40, 0, 0, 7, 0, 16];
    start.extend([[7; 16].as_slice(), &[0, 0, 0, 0, 0x10, 0, 0x0b]].concat());
    let mut connection = Connection::open(tpm.ports().data()).expect("a TPM");
    let mut use_up = |count| {
        for _ in 0..count {
            assert_eq!(connection.transmit(&start).expect("an answer")[6..10], [0; 4]);
        }
    };
    use_up(3);
    drop(connection);
    assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::TpmExhausted);
    is_not_made(&Soft::empty(&tpm.tcti()), ErrorCode::TpmExhausted);
    assert_eq!(tpm.flush_all(), 3, "it leaves nothing itself");
    for _ in 0..3 {
        tpm.tools().ok("tpm2_createprimary -C o -G ecc");
    }
    assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::TpmExhausted);
    assert_eq!(tpm.flush_all(), 3, "it leaves nothing itself");
    assert_eq!(bare.open(&tpm.tcti()).expect("it opens").1, 0);
}

/// `TPM_RC_RETRY`, `TPM_RC_NV_RATE`, `TPM_RC_TESTING`, `TPM_RC_YIELDED`.
const BUSY: [u32; 4] = [0x922, 0x920, 0x90a, 0x908];

#[test]
fn a_tpm_that_is_busy_for_a_moment_is_asked_again() {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let (bare, vault) = Bare::new(&proxy.tcti());
    drop(vault);
    for (number, code) in (1..).zip(BUSY) {
        let mut asked = 0;
        proxy.set_hook(move |_| {
            asked += 1;
            // Each command once.
            if asked % 2 == 1 { Act::Refuse(code) } else { Act::Pass }
        });
        let (mut vault, found) = bare.open(&proxy.tcti()).expect("it opens");
        assert_eq!(found, number - 1);
        commit(&mut vault, number).expect("it is made");
        proxy.pass_all();
    }
    assert_eq!(bare.open(&tpm.tcti()).expect("it opens").1, BUSY.len() as u64);
}

#[test]
fn a_tpm_that_answers_nothing_else_is_told_by_the_name_of_its_trouble() {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let (bare, vault) = Bare::new(&proxy.tcti());
    drop(vault);
    // TPM_RC_INITIALIZE, TPM_RC_LOCKOUT, TPM_RC_FAILURE, TPM_RC_NV_RATE for longer than is waited.
    for (code, expected) in [
        (0x100, ErrorCode::TpmFailed),
        (0x921, ErrorCode::TpmLockout),
        (0x101, ErrorCode::TpmFailed),
        (0x920, ErrorCode::TpmBusy),
    ] {
        proxy.set_hook(move |_| Act::Refuse(code));
        assert_eq!(bare.refusal(&proxy.tcti()), expected, "{code:#x}");
    }
    proxy.set_hook(|_| Act::LoseCommand);
    assert_eq!(bare.refusal(&proxy.tcti()), ErrorCode::TpmAbsent);
    let tcti = proxy.tcti();
    drop(proxy);
    assert_eq!(bare.refusal(&tcti), ErrorCode::TpmAbsent);
    is_not_made(&Soft::empty(&tcti), ErrorCode::TpmAbsent);
    assert_eq!(bare.open(&tpm.tcti()).expect("it opens").1, 0);
}

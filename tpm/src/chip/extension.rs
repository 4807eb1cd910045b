//! What `tss-esapi` 7.7 does not have, `TPM2_NV_Certify` and `TPM2_ReadClock`, over a connection of
//! its own: the library does not lend its own.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::ptr::null_mut;

use tss_esapi::structures::{Auth, Data, Public};
use tss_esapi_sys as tss;
use tss_esapi_sys::{ESYS_TR, TSS2_RC};

use super::{Evidence, Passwords, Tcti, Trouble};

/// Time as a TPM tells it: a hint, since its clock falls back when the power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// Milliseconds that the TPM ran since it was cleared, more or less.
    pub clock_ms: u64,
    /// Resets since it was cleared.
    pub reset_count: u32,
    /// Restarts since the last reset.
    pub restart_count: u32,
    /// Whether the clock has certainly not fallen back.
    pub safe: bool,
}

/// Keeps the TPM's software from writing to stderr whatever this program expects. To be called
/// before anything else, while there is one thread.
pub fn quiet() {
    if std::env::var_os("TSS2_LOG").is_none() {
        // SAFETY: called at the start of `main`, where no other thread reads the environment.
        unsafe { std::env::set_var("TSS2_LOG", "all+NONE") };
    }
}

/// What the TPM's clock shows.
///
/// # Errors
/// What the TPM says.
pub fn read_clock(tcti: &Tcti) -> Result<ClockReading, Trouble> {
    Extension::open(tcti)?.read_clock()
}

/// A connection. Closed on drop.
pub(super) struct Extension {
    esys: *mut tss::ESYS_CONTEXT,
    tcti: *mut tss::TSS2_TCTI_CONTEXT,
}

impl Drop for Extension {
    fn drop(&mut self) {
        // SAFETY: both were made by `open` and are used nowhere else; null is allowed.
        unsafe {
            tss::Esys_Finalize(&mut self.esys);
            tss::Tss2_TctiLdr_Finalize(&mut self.tcti);
        }
    }
}

impl Extension {
    pub(super) fn open(tcti: &Tcti) -> Result<Self, Trouble> {
        let name = CString::try_from(tcti.0.clone())?;
        let mut opened = Extension { esys: null_mut(), tcti: null_mut() };
        // SAFETY: `name` is a string that ends with a zero, and `tcti` takes what is made.
        check(unsafe { tss::Tss2_TctiLdr_Initialize(name.as_ptr(), &mut opened.tcti) })?;
        // SAFETY: `tcti` was just made and outlives `esys`.
        check(unsafe { tss::Esys_Initialize(&mut opened.esys, opened.tcti, null_mut()) })?;
        Ok(opened)
    }

    fn read_clock(&mut self) -> Result<ClockReading, Trouble> {
        const NONE: ESYS_TR = tss::ESYS_TR_NONE;
        let mut time = null_mut();
        // SAFETY: the context is open, and `time` takes what is made.
        check(unsafe { tss::Esys_ReadClock(self.esys, NONE, NONE, NONE, &mut time) })?;
        let tss::TPMS_CLOCK_INFO { clock, resetCount, restartCount, safe } =
            taken(time).ok_or(Trouble::Garbled)?.clockInfo;
        Ok(ClockReading {
            clock_ms: clock,
            reset_count: resetCount,
            restart_count: restartCount,
            safe: safe != 0,
        })
    }

    /// Signs what an index of 8 bytes without an authorization holds.
    pub(super) fn certify(
        mut self,
        passwords: &Passwords,
        template: Public,
        index: u32,
        qualifying: &[u8; 32],
    ) -> Result<Evidence, Trouble> {
        let key = self.primary(passwords, template)?;
        let certified = self.certify_by(key, index, qualifying);
        // SAFETY: the context is open and `key` is loaded.
        check(unsafe { tss::Esys_FlushContext(self.esys, key) })?;
        certified
    }

    /// A primary key of the endorsement hierarchy.
    fn primary(&mut self, passwords: &Passwords, template: Public) -> Result<ESYS_TR, Trouble> {
        const HIERARCHY: ESYS_TR = tss::ESYS_TR_RH_ENDORSEMENT;
        let password = tss::TPM2B_AUTH::from(Auth::try_from(passwords.endorsement.to_vec())?);
        // SAFETY: the context is open; the password is copied.
        check(unsafe { tss::Esys_TR_SetAuth(self.esys, HIERARCHY, &password) })?;
        let public = tss::TPM2B_PUBLIC::try_from(template)?;
        let (sensitive, outside, pcrs) = Default::default();
        let (mut key, mut out) = (tss::ESYS_TR_NONE, null_mut());
        // SAFETY: the context is open; all that is pointed to lives until the call returns, and
        // what is not wanted is not made for a null pointer.
        check(unsafe {
            tss::Esys_CreatePrimary(
                self.esys,
                HIERARCHY,
                tss::ESYS_TR_PASSWORD,
                tss::ESYS_TR_NONE,
                tss::ESYS_TR_NONE,
                &sensitive,
                &public,
                &outside,
                &pcrs,
                &mut key,
                &mut out,
                null_mut(),
                null_mut(),
                null_mut(),
            )
        })?;
        // Only the memory is wanted back.
        let _ = taken(out);
        Ok(key)
    }

    fn certify_by(
        &mut self,
        key: ESYS_TR,
        index: u32,
        qualifying: &[u8; 32],
    ) -> Result<Evidence, Trouble> {
        const NONE: ESYS_TR = tss::ESYS_TR_NONE;
        const PASSWORD: ESYS_TR = tss::ESYS_TR_PASSWORD;
        let mut nv = NONE;
        // SAFETY: the context is open, and `nv` takes the number of what is found.
        check(unsafe { tss::Esys_TR_FromTPMPublic(self.esys, index, NONE, NONE, NONE, &mut nv) })?;
        let qualifying = tss::TPM2B_DATA::from(Data::try_from(qualifying.to_vec())?);
        let scheme = tss::TPMT_SIG_SCHEME {
            scheme: tss_esapi::constants::tss::TPM2_ALG_NULL,
            ..Default::default()
        };
        let (mut attest, mut signature) = (null_mut(), null_mut());
        // SAFETY: the context is open, both handles are of it, and all that is pointed to lives
        // until the call returns.
        check(unsafe {
            tss::Esys_NV_Certify(
                self.esys,
                key,
                nv,
                nv,
                PASSWORD,
                PASSWORD,
                NONE,
                &qualifying,
                &scheme,
                8,
                0,
                &mut attest,
                &mut signature,
            )
        })?;
        let attest = taken(attest).ok_or(Trouble::Garbled)?;
        let signature = taken(signature).ok_or(Trouble::Garbled)?;
        let attest = attest.attestationData.get(..attest.size.into()).ok_or(Trouble::Garbled)?;
        Ok(Evidence { attest: attest.to_vec(), signature: marshaled(&signature)? })
    }
}

/// A signature as the TPM sent it.
fn marshaled(signature: &tss::TPMT_SIGNATURE) -> Result<Vec<u8>, Trouble> {
    let mut bytes = vec![0; size_of::<tss::TPMT_SIGNATURE>()];
    let mut len = 0;
    // SAFETY: `bytes` has as many bytes as is said.
    check(unsafe {
        tss::Tss2_MU_TPMT_SIGNATURE_Marshal(
            signature,
            bytes.as_mut_ptr(),
            bytes.len() as tss::size_t,
            &mut len,
        )
    })?;
    bytes.truncate(usize::try_from(len).unwrap_or(0));
    Ok(bytes)
}

/// What the library made for its caller, and the memory it lay in given back.
fn taken<T: Copy>(made: *mut T) -> Option<T> {
    if made.is_null() {
        return None;
    }
    // SAFETY: the library made it, as one `T`, and nobody else knows it.
    let value = unsafe { made.read() };
    // SAFETY: as above; it is not used again.
    unsafe { tss::Esys_Free(made.cast()) };
    Some(value)
}

fn check(code: TSS2_RC) -> Result<(), Trouble> {
    match code {
        0 => Ok(()),
        code => Err(tss_esapi::Error::Tss2Error(code.into()).into()),
    }
}

//! A soft license's container of which there are only the keys: it asks a server for a certificate.

use protocol::codec::{self, Fixed};
use protocol::crypto::ecdh::{SoftwareKey, StaticKey};
use protocol::crypto::ecdsa::SigningKey;
use protocol::ids::{ContainerId, ContainerKind, RootFp};
use protocol::limits::{ENROLLMENT_BODY_LEN_MAX, UPDATE_BODY_LEN_MAX};
use protocol::objects::device::{AnchorClass, ClockClass, DeviceBody};
use protocol::objects::enrollment::{
    Challenge, EnrollmentBody, EnrollmentProofBody, TpmEvidence, sign,
};
use protocol::objects::file::{self, FileKind};
use protocol::objects::request::Request;
use protocol::objects::statement::{genesis_hash, next_state_hash};
use protocol::objects::update::{UpdateOp, read_ops};
use protocol::signed::Kind;

use crate::device;
use crate::soft_tpm::SoftTpm;

/// A container without a TPM, or one that says to be in one.
pub struct Applicant {
    /// Its id.
    pub id: ContainerId,
    /// The firm that it asks.
    pub firm: RootFp,
    key: SigningKey,
    body: EnrollmentBody,
    tpm: Option<SoftTpm>,
}

impl Applicant {
    /// The one of this number, for a firm.
    pub fn new(number: u8, firm: RootFp) -> Self {
        Self::with_key(number, number, firm)
    }

    /// The same with the key of another number.
    pub fn with_key(number: u8, key: u8, firm: RootFp) -> Self {
        let scalar = [key; 32];
        let point = SoftwareKey::from_bytes(&scalar).expect("below the order").public();
        let point = Fixed(point.to_compressed());
        let body = EnrollmentBody {
            identity_key: point,
            channel_key: point,
            sealing_key: point,
            anchor: AnchorClass::None,
            tpm: None,
            is_virtual: false,
            replaces: None,
            home_version: 1 << 8,
            nonce: Fixed([number; 16]),
        };
        let key = SigningKey::from_bytes(&scalar).expect("below the order");
        Applicant { id: ContainerId::new([number; 16]), firm, key, body, tpm: None }
    }

    /// By another id.
    pub fn named(self, id: ContainerId) -> Self {
        Applicant { id, ..self }
    }

    /// Says to be in this TPM.
    pub fn in_tpm(mut self, tpm: &SoftTpm) -> Self {
        (self.body.tpm, self.body.anchor) = (Some(tpm.identity()), AnchorClass::Tpm);
        self.tpm = Some(tpm.clone());
        self
    }

    /// Says to take the place of a container that was lost.
    pub fn replacing(mut self, lost: ContainerId) -> Self {
        self.body.replaces = Some(lost);
        self
    }

    /// Says to be in a virtual machine.
    pub fn in_virtual_machine(mut self) -> Self {
        self.body.is_virtual = true;
        self
    }

    /// Asks anew, in a request of this number.
    pub fn again(mut self, number: u8) -> Self {
        self.body.nonce = Fixed([number; 16]);
        self
    }

    /// Its context file before its first update, with a certificate.
    pub fn context(&self, certificate: &[u8]) -> Vec<u8> {
        let first = (0, genesis_hash(self.firm, self.id));
        self.asks(certificate, first, (1, Fixed([0; 32])))
    }

    /// The same once it applied its first update, which answered it: a file.
    pub fn context_behind(&self, certificate: &[u8], update: &[u8]) -> Vec<u8> {
        let mut rest = file::expect(update, FileKind::Update).expect("an update file");
        let header = loop {
            let (object, behind) =
                file::next_object(rest, UPDATE_BODY_LEN_MAX).expect("objects of an update file");
            if behind.is_empty() {
                break *object.header();
            }
            rest = behind;
        };
        let body = &rest[rest.len() - header.body_len as usize..];
        let ops = read_ops(body).expect("operations");
        let head = ops.iter().find_map(|op| match op {
            UpdateOp::Answer(answer) => Some(answer.head),
            _ => None,
        });
        let state = next_state_hash(&header.state, &header.hash());
        self.asks(certificate, (header.seq, state), (2, head.expect("an answer")))
    }

    fn asks(
        &self,
        certificate: &[u8],
        at: (u64, [u8; 32]),
        (number, after): (u64, Fixed<32>),
    ) -> Vec<u8> {
        let mut draw = [number as u8; 32];
        draw[1..].copy_from_slice(&self.body.identity_key.0[2..]);
        let mut request = Request { number, after, draw: Fixed(draw), evidence: None };
        let over = request.qualifying(self.firm, self.id);
        request.evidence = self.tpm.as_ref().map(|tpm| tpm.certify(&over));
        device::context((self.firm, self.id), (&self.key, certificate), at, Some(request))
    }

    /// What a certificate says of it.
    pub fn device(&self) -> DeviceBody {
        DeviceBody {
            kind: ContainerKind::Tpm,
            clock: ClockClass::Host,
            anchor: self.body.anchor,
            identity_key: self.body.identity_key,
            channel_key: self.body.channel_key,
            sealing_key: self.body.sealing_key,
            batch: 0,
        }
    }

    /// What names its request.
    pub fn request_hash(&self) -> [u8; 32] {
        let request = self.request();
        let object = file::expect(&request, FileKind::Enrollment).expect("a request");
        let object = file::next_object(object, ENROLLMENT_BODY_LEN_MAX).expect("an object");
        object.0.header().hash()
    }

    /// Its request: a file.
    pub fn request(&self) -> Vec<u8> {
        let of = (self.firm, self.id);
        let object = sign(Kind::Enrollment, of, &self.body, &self.key, &[7; 32]);
        file::write(FileKind::Enrollment, &[&object])
    }

    /// Its answer to a challenge: a file.
    pub fn proof(&self, challenge: &[u8], tpm: Option<TpmEvidence>) -> Vec<u8> {
        let challenge = read_challenge(challenge);
        let body = EnrollmentProofBody { request: challenge.request, nonce: challenge.nonce, tpm };
        let of = (self.firm, self.id);
        let object = sign(Kind::EnrollmentProof, of, &body, &self.key, &[7; 32]);
        file::write(FileKind::EnrollmentProof, &[&object])
    }
}

/// What a challenge file says.
pub fn read_challenge(bytes: &[u8]) -> Challenge {
    let body = file::expect(bytes, FileKind::EnrollmentChallenge).expect("a challenge");
    codec::decode(body, ENROLLMENT_BODY_LEN_MAX).expect("a challenge")
}
